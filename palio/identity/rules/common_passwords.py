"""Words that are tried first, in lower case, without the digits and signs that people hang on them."""

COMMON = frozenset(  # a text, because a list would be a page for each twenty of them
    """
    aaa abc abcabc abcd abcde abcdef abcxyz access admin administrator alexander alexandra amanda america andrew
    android angel angels anthony anything apple april arsenal asd asdf asdfasdf asdfgh ashley asshole asus august
    australia autumn azerty baby babyboy babygirl bailey banana barcelona baseball basketball batman bear beatles
    beautiful believe benjamin berlin betting bienvenue bitch bitcoin black blessed blessing blink blockchain blue
    brasil brazil brother bunny business buster butter butterfly california callofduty camaro canada candy cash
    casino cat celtic champion champions change changeme charles charlie cheese chelsea china chocolate christ
    christian christopher church coffee college company computer computer1 contrasena cookie corvette counterstrike
    courage cowboys cricket crypto daddy daniel database david debian december default dell demo demon devil diamond
    dog dolphins dragon dream dreams eagle eagles elizabeth elvis eminem england ethereum everton everything
    facebook faith falcon family father february ferrari florida flower football forever fortnite france freedom
    friday friend friends fuck fuckoff fuckyou gambler game gamer games gaming gandalf george germany ginger god
    gold golf goodbye google green guest guitar handsome happiness happy harley harleydavidson haslo heaven hello
    helloworld hobbit hockey honda honey hunter iloveu iloveyou india instagram internet iphone ireland ironman
    jackpot january japan jennifer jessica jesus jonathan jordan joseph joshua july june justice juventus kawasaki
    killer king kitty knight lakers lamborghini lenovo letmein liberty linkedin linux lion liverpool lkjhgfdsa login
    london love lovely loveme lover loveyou lozinka lucifer lucky luckyone madonna madrid maggie manager manchester
    march master matrix matthew melissa mercedes merlin metallica mexico michael michelle microsoft minecraft
    mnbvcxz mommy monday money monkey motdepasse mother music mustang mylove mysql naruto network newyork nicholas
    nicole ninja nintendo nirvana nothing november october office open opensesame oracle orange packers pakistan
    panther paris parola pass passw0rd passwd password passwort patricia patrick patriots peace peanut pepper
    phoenix pikachu pink pirate platinum player playstation please poiuytrewq pokemon poker porsche postgres
    postgresql power prince princess private public puppy purple pussy pwd qaywsx qazwsx qazwsxedc queen qwe qweasd
    qweasdzxc qwerqwer qwert qwerty qwertz rainbow ranger rangers realmadrid red richard robert roblox rocknroll
    rockstar root rugby salasana samantha samsung samurai satan saturday school scotland secret security senha
    september server service sesame sexy shadow signin silver sister skywalker slipknot smile soccer something
    spiderman spring starwars steelers strength student success sugar summer sunday sunshine superman superuser
    support sweetheart system teacher temp temporary tennis test tester testing texas thanks thankyou thomas
    thursday tiger toyota trustno trustnoone tuesday twitter ubuntu unicorn united university user vader vanessa
    veronica victoria volleyball wachtwoord warcraft warrior wednesday welcome whatever whatsup white william
    willkommen windows winner winning winter wizard wolf wsxedc xbox xxx xyz yamaha yankees yellow yoda youtube zxc
    zxcvbn
    """.split()  # noqa: SIM905 - see above
)
