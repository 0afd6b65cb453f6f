"""What the runtime does with the project's database: so far, moving the data of an SQLite project into the stack's own."""
