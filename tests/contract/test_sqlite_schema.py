"""Migrations lead to the schema that the code describes, and never harm what is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import CheckConstraint
from sqlalchemy.schema import CreateIndex, CreateTable
from tests.contract.store_records import add_context, context, context_id

from meroid.store import SqliteStore, StoreTooNewError, schema
from meroid.store.driver import Connection, open_writer
from meroid.store.migrations import run
from meroid.store.schema import SCHEMA_REVISION, bring_up_to_date
from meroid.store.tables import metadata

KEY = "5e" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    """A database that was made, opened without the store."""
    SqliteStore(path, KEY).close()
    opened = open_writer(path, KEY)
    yield opened
    opened.close()


def sql_of(connection: Connection) -> dict[str, str]:
    """Each table and index with its SQL, without regard to white space and the order of columns and constraints."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type <> 'trigger' AND sql IS NOT NULL"
    ).fetchall()
    return {name: normal(sql) for name, sql in rows if name not in ("alembic_version", "sqlite_sequence")}


def normal(sql: str) -> str:
    """The parts of a statement in one order: a column that was added later stands behind the constraints."""
    head, _, rest = " ".join(sql.split()).partition("(")
    inside, _, tail = rest.rpartition(")")
    parts = [""]
    for piece in inside.split(","):
        whole = parts[-1].count("(") == parts[-1].count(")")
        if whole and parts[-1]:
            parts.append(piece)
        else:
            parts[-1] += f",{piece}" if parts[-1] else piece
    return " ".join([head.strip(), *sorted(part.strip() for part in parts), tail.strip()])


def set_revision(connection: Connection, revision: str, oldest_code_schema: int) -> None:
    connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.execute("UPDATE schema_meta SET oldest_code_schema = ?", (oldest_code_schema,))


def test_the_revision_that_the_code_expects_is_the_newest_step() -> None:
    assert run.head() == SCHEMA_REVISION


def test_the_steps_form_one_line() -> None:
    assert len(run.scripts().get_heads()) == 1
    assert len(run.scripts().get_bases()) == 1


def test_the_migrated_schema_is_the_described_one(connection: Connection) -> None:
    dialect = run.engine_over(connection).dialect
    described = {
        table.name: normal(str(CreateTable(table).compile(dialect=dialect))) for table in metadata.sorted_tables
    }
    for table in metadata.sorted_tables:
        for index in table.indexes:
            described[str(index.name)] = normal(str(CreateIndex(index).compile(dialect=dialect)))

    assert sql_of(connection) == described


def test_only_the_audit_trail_has_triggers(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    ).fetchall()

    assert rows == [("audit_events_no_delete", "audit_events"), ("audit_events_no_update", "audit_events")]


def test_every_table_is_strict(connection: Connection) -> None:
    rows = connection.execute("SELECT name, strict FROM pragma_table_list WHERE type = 'table'").fetchall()

    loose = {name for name, strict in rows if not strict}
    assert {name for name in loose if not name.startswith("sqlite_")} == {"alembic_version"}


def test_every_table_and_column_says_what_it_holds() -> None:
    for table in metadata.sorted_tables:
        assert table.comment
        for column in table.columns:
            assert column.comment, f"{table.name}.{column.name}"
            if column.name.endswith("_at"):
                assert "ms" in column.comment.replace(";", ",").replace(",", " ").split()


def test_every_constraint_has_a_name() -> None:
    for table in metadata.sorted_tables:
        for constraint in table.constraints:
            if isinstance(constraint, CheckConstraint):
                assert str(constraint.name).startswith("ck_")


def test_a_database_of_this_revision_is_opened_without_a_copy(connection: Connection, path: Path) -> None:
    bring_up_to_date(path, KEY)

    assert not list(path.parent.glob("*.before-*"))


def test_a_database_that_refuses_older_code_is_refused_and_stays(connection: Connection, path: Path) -> None:
    set_revision(connection, "9002_later", oldest_code_schema=9002)

    with pytest.raises(StoreTooNewError) as raised:
        SqliteStore(path, KEY)

    assert raised.value.code == "store_too_new"
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9002_later",)
    assert not list(path.parent.glob("*.before-*"))


def test_a_newer_database_that_allows_this_code_is_opened_as_it_is(connection: Connection, path: Path) -> None:
    set_revision(connection, "9002_later", oldest_code_schema=1)

    store = SqliteStore(path, KEY)
    add_context(store)
    store.close()

    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9002_later",)


def test_a_revision_without_a_number_is_newer_than_all_we_know(connection: Connection, path: Path) -> None:
    set_revision(connection, "somebody's own", oldest_code_schema=9002)

    with pytest.raises(StoreTooNewError):
        bring_up_to_date(path, KEY)


class TestMigration:
    """An older database, made by pretending that this code is one step ahead."""

    @pytest.fixture(autouse=True)
    def _older(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = SqliteStore(path, KEY)
        add_context(store)
        store.close()
        monkeypatch.setattr(schema, "SCHEMA_REVISION", "9002_next")

    def test_an_older_database_is_copied_before_it_is_migrated(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schema, "migrate", lambda c: c.execute("DELETE FROM contexts"))

        bring_up_to_date(path, KEY)

        monkeypatch.undo()
        copy = path.with_name("node.db.before-9002_next")
        assert copy.stat().st_mode & 0o777 == 0o600
        assert sorted(file.name for file in path.parent.iterdir()) == ["node.db", copy.name, "node.db.lock"]
        kept = SqliteStore(copy, KEY)
        assert kept.read(lambda tx: tx.contexts.get(context_id())) == context()
        kept.close()

    def test_the_copy_is_encrypted_under_the_same_key(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schema, "migrate", lambda _: None)

        bring_up_to_date(path, KEY)

        assert b"CREATE TABLE" not in path.with_name("node.db.before-9002_next").read_bytes()

    def test_a_migration_that_breaks_off_changes_nothing(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(connection: Connection) -> None:
            # Alembic's own way through a step: a transaction of ours that a failure rolls back.
            with run.engine_over(connection).begin() as opened:
                opened.exec_driver_sql("DROP TABLE operations")
                opened.exec_driver_sql("DROP TABLE nothing_of_this_name")

        monkeypatch.setattr(schema, "migrate", broken)
        with pytest.raises(Exception, match="nothing_of_this_name"):
            bring_up_to_date(path, KEY)

        monkeypatch.undo()
        store = SqliteStore(path, KEY)
        assert store.read(lambda tx: list(tx.operations.scan(context_id()))) == []
        store.close()


def test_a_database_of_the_first_version_opens_with_all_that_is_in_it(path: Path) -> None:
    connection = open_writer(path, KEY)
    run.upgrade(connection, "0001_initial")
    connection.execute(
        "INSERT INTO accounts (account_id, sealed_seed, device, created_at, owner) VALUES (?, ?, 0, 5, 1)",
        (b"\x01" * 32, b"sealed"),
    )
    connection.close()

    store = SqliteStore(path, KEY)

    owner = store.read(lambda tx: tx.accounts.owner())
    store.close()
    assert owner is not None
    assert (owner.created_at, owner.disabled_at, owner.log_unsettled_at) == (5, None, None)


def test_making_a_database_is_all_or_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = run.upgrade

    def break_off(connection: Connection) -> None:
        connection.execute("CREATE TABLE settings (name TEXT) STRICT")  # the step will trip over it
        real(connection)

    monkeypatch.setattr(run, "upgrade", break_off)
    with pytest.raises(RuntimeError, match="settings"):
        SqliteStore(path, KEY)

    left = open_writer(path, KEY)
    tables = [name for (name,) in left.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    left.close()
    assert tables == ["settings"]
