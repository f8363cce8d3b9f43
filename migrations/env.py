"""Run by Alembic. The connection comes from `controller.adapters.migrate`, which holds the lock."""

from alembic import context

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations with: python -m controller.adapters.migrate upgrade")
context.configure(connection=connection, target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
