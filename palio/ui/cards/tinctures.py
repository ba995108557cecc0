"""The colours of the day as the letters and the cloth of a card need them; `tokens.css` says them in OKLCH."""

PAPER, LINE, INK, QUIET = "#fefcf9", "#e4dfd6", "#1b2130", "#484d58"  # quiet is ink at 80 % on paper
AZURE, GOLD, RED, CREAM, GREEN = "#224aa9", "#f0c45e", "#a9131f", "#f5eee0", "#095c34"
ROSE, SABLE, PLUM, SKY, BROWN = "#f3afb8", "#222630", "#5f246c", "#98cceb", "#80421a"
ROD, ON_CLOTH, GOLD_WASH = "#7a583e", "#f8f5ee", "#f8e6bf"
OF_BANNER = (  # the two tinctures of each banner
    *((AZURE, GOLD), (RED, CREAM), (GREEN, ROSE), (SABLE, GOLD), (PLUM, CREAM)),
    *((AZURE, CREAM), (GREEN, CREAM), (SABLE, SKY), (RED, SKY), (BROWN, SKY)),
)
