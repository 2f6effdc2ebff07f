"""What Alembic executes for each run; the connection comes from `run.upgrade`."""

from alembic import context

from meroid.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can; Alembic is only careful about the driver's own transactions
)
with context.begin_transaction():
    context.run_migrations()
