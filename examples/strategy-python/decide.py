"""A split-brain strategy: the side of the oldest voter in the home region writes.

Where home is, the option home says. Nothing else of this program decides anything; see __main__.py for the rest.
"""


class Refused(Exception):
    """There is no rule for this roster; the text says why and what to do instead."""


def decide(roster, declared_voters, options):
    """Return (need, [(weight, voter), ...]) for a roster: entries with name, region, votes, weight and join_index.

    The same roster gives the same answer, in whatever order it stands. Any two sets of voters whose weights come to
    need must have a voter in common.
    """
    home = options.get("home")
    if not home:
        raise Refused("no home is named; set home to the region whose oldest voter decides")
    voters = [g for g in roster if g.votes and g.region == home]
    if not voters:
        raise Refused(f"region {home} has no voter; set home to one that has")
    oldest = min(voters, key=lambda g: g.join_index)
    return 1, [(1, oldest.name)]
