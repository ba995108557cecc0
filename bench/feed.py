"""An affiliate network that grows, answering as providers do: unsorted, whole zeros, doubles with noise at the end."""

from math import nextafter

MICRO_PER_UNIT = 1_000_000
WAGER_UNITS_MAX, HISTORY_UNITS_MAX = 70, 5_000
KNUTH = 2_654_435_761  # spreads neighbouring numbers over 32 bits: the same network in every run


class Network:
    """Players whose wagers grow; two thirds of them have not played this week."""

    def __init__(self, players: int) -> None:
        self.players = players
        self._rounds = 0
        self.all_time_micro = [_spread(number, HISTORY_UNITS_MAX * MICRO_PER_UNIT) for number in range(players)]
        self._week_micro = [0 if number % 3 else micro // 100 for number, micro in enumerate(self.all_time_micro)]
        self._rows = [self._row(number) for number in range(players)]

    def body(self) -> bytes:
        """What the provider answers now; not a byte differs while nothing has changed."""
        week = _double(sum(self._week_micro))
        return b'{"success": true, "data": [' + b", ".join(self._rows) + b'], "this_week": ' + week + b"}"

    def advance(self, share: float) -> int:
        """Let a share of the players wager, others than the last time, and say how many they are."""
        every = round(1 / share)
        self._rounds += 1
        moved = range(self._rounds % every, self.players, every)
        for number in moved:
            wager = 1 + _spread(number + self._rounds, WAGER_UNITS_MAX * MICRO_PER_UNIT)
            self.all_time_micro[number] += wager
            self._week_micro[number] += wager
            self._rows[number] = self._row(number)
        return len(moved)

    def _row(self, number: int) -> bytes:
        week, all_time = self._week_micro[number], self.all_time_micro[number]
        return b'{"uid": "%s", "name": "player%06d", "wagered": {%s}}' % (
            b"%020x" % (number * KNUTH + 1),
            number,
            b'"today": %s, "this_week": %s, "this_month": %s, "all_time": %s'
            % (_double(week // 3), _double(week), _double(max(week, all_time // 10)), _double(all_time)),
        )


def _spread(number: int, limit: int) -> int:
    return (number * KNUTH % 2**32) * limit >> 32


def _double(micro: int) -> bytes:
    if micro == 0:
        return b"0"
    value = micro / MICRO_PER_UNIT
    return repr(nextafter(value, 2 * value)).encode()
