"""Posts about base assets: Reddit and X; or files; or a simulation.

Texts are scored where they arrive and given up (:mod:`alphapulse.providers.social.scoring`): a sample that
leaves here holds no text and no name. X needs a key; without one Reddit alone speaks, and the sample says so.
"""

from collections.abc import Mapping, Sequence

from alphapulse.domain.agents.evidence import PostSample
from alphapulse.providers.source import Source, SourceContext, SourceKind

__all__ = ["merge", "sources"]


def sources(context: SourceContext) -> Sequence[Source[PostSample]]:
    """Return the sources of the chosen kind.

    Parameters
    ----------
    context
        What they are built from.

    Raises
    ------
    alphapulse.providers.errors.NotConfigured
        Files are chosen, and there is no such directory.
    """
    # Each is imported only when chosen.
    match context.options.kind:
        case SourceKind.DIRECTORY:
            from alphapulse.providers.social.files import PostFiles  # noqa: PLC0415 - see above

            return (PostFiles(context),)
        case SourceKind.SIMULATED:
            from alphapulse.providers.social.simulated import SimulatedPosts  # noqa: PLC0415 - see above

            return (SimulatedPosts(context),)
        case SourceKind.LIVE:
            from alphapulse.providers.social.reddit import Reddit  # noqa: PLC0415 - see above
            from alphapulse.providers.social.x import X  # noqa: PLC0415 - see above

            return (Reddit(context), X(context))


def merge(parts: Sequence[PostSample], missing: Mapping[str, str]) -> PostSample:
    """Return the posts of all networks that answered as one sample, as old as the oldest of them.

    Parameters
    ----------
    parts
        At least one.
    missing
        Why the other networks gave nothing.
    """
    reasons = {name: why for part in parts for name, why in part.missing.items()}
    return PostSample(
        posts=tuple(
            sorted(
                (post for part in parts for post in part.posts),
                key=lambda post: (post.posted_at, post.network, post.id),
                reverse=True,
            )
        ),
        source="+".join(dict.fromkeys(part.source for part in parts)),
        retrieved_at=min(part.retrieved_at for part in parts),
        missing={**reasons, **missing},
    )
