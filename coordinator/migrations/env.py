"""Run by Alembic: takes the connection that `coordinator.store.migration` holds."""

from alembic import context

from coordinator.store.tables import METADATA

if context.is_offline_mode():
    context.configure(
        dialect_name=context.config.attributes["dialect"],
        target_metadata=METADATA,
        literal_binds=True,
        output_buffer=context.config.attributes.get("output"),
    )
else:
    # Batch mode: SQLite changes a table by making it again.
    context.configure(
        connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True
    )
with context.begin_transaction():
    context.run_migrations()
