"""The verbs of people: approve, reject, sign, how they make themselves known, and whether notices reach them."""

from typing import Final

from console.verb import INCIDENT, Verb, arg

_NOTE: Final = arg("--note", metavar="TEXT", default="", help="why, for the record")
_NOTE_REQUIRED: Final = arg("--note", metavar="TEXT", required=True, help="why, for the record")
_DECISION: Final = (
    INCIDENT,
    arg(
        "--reviewer",
        metavar="NAME",
        help="who decides; whose the key is, unless given. A name that no key vouches for is unverified",
    ),
    arg(
        "--evidence",
        metavar="DIGEST",
        help="digest of the evidence you saw, from the notice; without it the current one is read and shown",
    ),
    arg(
        "--key", metavar="FILE", help="your private key; else HOMEOSTAT_KEY_FILE, else the local key of your user on this machine"
    ),
)
_TOKEN: Final = arg(
    "--token", metavar="FILE", help="a token that your company's issuer signed for this decision; - reads it from stdin"
)
_UNSIGNED: Final = arg(
    "--unsigned", action="store_true", help="send the bare name; it counts only where the policy says `unverified: accept`"
)
_ONLY_IF: Final = arg(
    "--only-if",
    metavar="CONDITION",
    action="append",
    default=[],
    help="has to hold at the moment of promotion, too, such as champion_unchanged; may be given several times",
)

REVIEW_VERBS: Final = (
    Verb(
        "approve",
        "approve the challenger of an incident that waits for a person",
        "Decides a review on the evidence that you saw, signed with your key. It is refused when the evidence has changed since, "
        "when the review has been decided, or when you are not one of the endpoint's reviewers. No secret is ever an argument.",
        (
            "python starter.py approve bikes/20120304T000000Z-1f2e3d --note 'gain is real, slices look fine'",
            "python starter.py approve bikes/20120304T000000Z-1f2e3d --only-if champion_unchanged --key ana.key --note 'seen'",
        ),
        "review:approve",
        (*_DECISION, _TOKEN, _UNSIGNED, _NOTE, _ONLY_IF),
    ),
    Verb(
        "reject",
        "keep the champion in an incident that waits for a person",
        "Decides a review on the evidence that you saw: the champion stays. The note is required, since readers will ask why.",
        ("python starter.py reject bikes/20120304T000000Z-1f2e3d --note 'recall falls on weekends'",),
        "review:reject",
        (*_DECISION, _TOKEN, _UNSIGNED, _NOTE_REQUIRED),
    ),
    Verb(
        "sign",
        "sign a decision without sending it, for use with the temporal command",
        "Puts the signed token into the decision vault and prints its ticket, with the `temporal` commands that decide by it. "
        "The ticket counts once, for this decision, within an hour. With --nonce it prints what a company's issuer has to put "
        "into its token instead, and signs nothing.",
        (
            "python starter.py sign bikes/20120304T000000Z-1f2e3d --approve --note 'gain is real'",
            "python starter.py sign bikes/20120304T000000Z-1f2e3d --reject --note 'not worth a change' --key ana.key",
            "python starter.py sign bikes/20120304T000000Z-1f2e3d --approve --note 'gain is real' --reviewer ana --nonce",
        ),
        "signing:sign",
        (
            *_DECISION,
            arg("--approve", action="store_true", help="say yes to the challenger"),
            arg("--reject", action="store_true", help="keep the champion"),
            _NOTE_REQUIRED,
            _ONLY_IF,
            arg("--nonce", action="store_true", help="print the decision's digest for an issuer's token, and sign nothing"),
        ),
    ),
    Verb(
        "keygen",
        "make a key that vouches for your decisions",
        "Writes a new private key that only you may read, and prints the lines for `people` in the fleet file. A file that is "
        "there is never overwritten.",
        ("python starter.py keygen --person ana --out ana.key",),
        "signing:keygen",
        (
            arg("--person", metavar="NAME", help="your name in the fleet file (default: that of your user on this machine)"),
            arg("--out", metavar="FILE", help="where the private key goes (default: .config/homeostat/NAME.key in your home)"),
        ),
        waits=False,
    ),
    Verb(
        "login",
        "print a link that logs you into the review page once",
        "For the laptop, where no company's login is at hand: the link is good for ten minutes and works once. Whoever may read "
        "this platform's home may make one for anybody, so it vouches for no more than that.",
        ("python starter.py login", "python starter.py login --person ana"),
        "signing:login",
        (arg("--person", metavar="NAME", help="whom it logs in (default: your user on this machine)"),),
        waits=False,
    ),
    Verb(
        "notify",
        "send a test message through a channel of the fleet file",
        "Tells the channel once, from here: the variables in its address are those of this shell, while notices are sent "
        "with those of the worker. A channel that is down or refuses is named with the reason, and no secret is shown.",
        ("python starter.py notify --test slack", "python starter.py notify --test pager --fleet mine.yaml"),
        "notify:notify",
        (
            arg("--test", metavar="CHANNEL", required=True, help="name of the channel, as in the fleet file"),
            arg("--fleet", metavar="FILE", default="fleet.yaml", help="the fleet file (default: %(default)s)"),
        ),
        waits=False,
    ),
)
