"""Governance of base assets: Snapshot, Tally, DefiLlama's treasuries; or files; or a simulation.

Each source gives a :class:`~alphapulse.domain.agents.evidence.Governance` of its own, and they are put
together: proposals of all, the treasury of whoever tells it, and why the others gave nothing. Of an asset
whose holders do not vote, that is said.
"""

from collections.abc import Mapping, Sequence

from alphapulse.domain.agents.evidence import Governance
from alphapulse.providers.source import Source, SourceContext, SourceKind

__all__ = ["merge", "sources"]


def sources(context: SourceContext) -> Sequence[Source[Governance]]:
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
    from alphapulse.providers.governance.without_votes import WithoutVotes  # noqa: PLC0415 - see above

    match context.options.kind:
        case SourceKind.DIRECTORY:
            from alphapulse.providers.governance.files import GovernanceFiles  # noqa: PLC0415 - see above

            return (GovernanceFiles(context),)
        case SourceKind.SIMULATED:
            from alphapulse.providers.governance.simulated import SimulatedGovernance  # noqa: PLC0415

            return (SimulatedGovernance(context), WithoutVotes())
        case SourceKind.LIVE:
            from alphapulse.providers.governance.defillama import DefiLlama  # noqa: PLC0415 - see above
            from alphapulse.providers.governance.snapshot import Snapshot  # noqa: PLC0415 - see above
            from alphapulse.providers.governance.tally import Tally  # noqa: PLC0415 - see above

            return (Snapshot(context), Tally(context), DefiLlama(context), WithoutVotes())


def merge(parts: Sequence[Governance], missing: Mapping[str, str]) -> Governance:
    """Return what all platforms gave as one, as old as the oldest of them.

    Parameters
    ----------
    parts
        At least one, the preferred first: of several treasuries or numbers of eligible votes, the first
        counts.
    missing
        Why the other platforms gave nothing.
    """
    reasons = {name: why for part in parts for name, why in part.missing.items()}
    treasuries = (part.treasury_usd for part in parts if part.treasury_usd is not None)
    eligible = (part.eligible_votes for part in parts if part.eligible_votes is not None)
    proposals = sorted(
        (proposal for part in parts for proposal in part.proposals),
        key=lambda proposal: (proposal.started_at, proposal.id),
        reverse=True,
    )
    return Governance(
        proposals=tuple(proposals),
        eligible_votes=next(eligible, None),
        treasury_usd=next(treasuries, None),
        source="+".join(dict.fromkeys(part.source for part in parts)),
        retrieved_at=min(part.retrieved_at for part in parts),
        missing={**reasons, **missing},
    )
