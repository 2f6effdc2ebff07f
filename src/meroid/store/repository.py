"""What every repository is made of."""

from meroid.store.session import Session


class Repository:
    """Verbs of one noun over a session; it commits nothing by itself."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session
