"""Running Alembic over a connection of ours, without its command line and its configuration file."""

from pathlib import Path
from typing import cast

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection as SqlConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool
from sqlcipher3 import dbapi2

from meroid.store.driver import Connection


def engine_over(connection: Connection) -> Engine:
    """An engine that has just this connection, and begins transactions as writers do."""
    engine = create_engine("sqlite://", module=dbapi2, creator=lambda: connection, poolclass=StaticPool)

    @event.listens_for(engine, "begin")
    def _begin(opened: SqlConnection) -> None:
        opened.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def scripts() -> ScriptDirectory:
    """The steps."""
    return ScriptDirectory.from_config(_config())


def head() -> str:
    """The newest revision."""
    return cast("str", scripts().get_current_head())


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the database to a revision, in one transaction.

    Raises:
        sqlcipher3.dbapi2.Error: the database failed.
        sqlalchemy.exc.SQLAlchemyError: a step is wrong.
    """
    config = _config()
    try:
        with engine_over(connection).connect() as opened:
            config.attributes["connection"] = opened
            command.upgrade(config, revision)
    except DBAPIError as error:
        raise (error.orig or error) from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
