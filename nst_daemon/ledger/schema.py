"""The ledger's tables, as a list of migrations. Pure: no file, no SQLite.

A migration is never edited once released: a change is a new entry at the end. `LedgerFile` runs those
that a file does not have yet, each in one transaction, behind a backup.
"""

from typing import Final

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            photo TEXT NOT NULL,
            original NOT NULL,                 -- paths: text, or bytes where they are no UTF-8
            copy NOT NULL,
            photo_sha256 TEXT NOT NULL,
            inbox,
            outbox NOT NULL,
            origin TEXT NOT NULL,
            styles TEXT NOT NULL,              -- JSON
            recipe TEXT,                       -- JSON; NULL while held
            sidecar,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            created REAL NOT NULL,             -- seconds since 1970, as all times here
            started REAL,
            finished REAL,
            seconds REAL,
            result,
            result_name,                       -- `result` as a file system that folds case sees it
            error TEXT,
            cancel_requested INTEGER NOT NULL DEFAULT 0,
            not_before REAL NOT NULL DEFAULT 0,
            progress TEXT,                     -- JSON; of what runs, and the last of what is done
            was_done INTEGER NOT NULL DEFAULT 0,
            is_disposed INTEGER NOT NULL DEFAULT 0  -- the original is where it belongs
        )
        """,
        "CREATE INDEX jobs_by_state ON jobs (state, id)",
        "CREATE INDEX jobs_by_original ON jobs (original)",
        "CREATE UNIQUE INDEX jobs_by_result ON jobs (result_name) WHERE result_name IS NOT NULL",
        """
        CREATE TABLE seen (
            path PRIMARY KEY NOT NULL,
            root NOT NULL,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            inode TEXT NOT NULL,               -- text: Windows has 128 bits of it
            verdict TEXT NOT NULL,
            photo_sha256 TEXT NOT NULL,
            keywords TEXT NOT NULL,            -- JSON
            sidecar TEXT NOT NULL              -- fingerprint of the sidecar that was paired
        ) WITHOUT ROWID
        """,
        "CREATE INDEX seen_by_root ON seen (root)",
        """
        CREATE TABLE problems (
            source TEXT NOT NULL, position INTEGER NOT NULL,
            code TEXT NOT NULL, message TEXT NOT NULL, remedy TEXT NOT NULL,
            PRIMARY KEY (source, position)
        ) WITHOUT ROWID
        """,
        "CREATE TABLE facts (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID",
    ),
    ("ALTER TABLE jobs ADD COLUMN areas TEXT",),  # JSON: masks and regions; NULL where there are none
    (
        # The worker asks for these all the time, also when thousands of jobs are done.
        "CREATE INDEX jobs_undisposed ON jobs (state, id) WHERE is_disposed = 0",
        # Inboxes that another daemon works on: their jobs wait.
        "CREATE TABLE foreign_inboxes (path PRIMARY KEY NOT NULL) WITHOUT ROWID",
    ),
    (
        # The photo's folder, relative to its inbox; NULL for a submitted photo.
        "ALTER TABLE jobs ADD COLUMN place",
        # Whose fault a bad end is: how far the attempt in hand has come (NULL: the engine does not have the
        # photo), how far the best one came, and how many ended badly since and came no further: by an end of
        # the daemon, or of the engine.
        "ALTER TABLE jobs ADD COLUMN reached REAL",
        "ALTER TABLE jobs ADD COLUMN best REAL NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN strikes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN breaks INTEGER NOT NULL DEFAULT 0",
        # Outboxes, or sub-folders of them, that take no result at the moment: their jobs wait.
        "CREATE TABLE blocked_outboxes (path NOT NULL, place)",  # place: one of its sub-folders; NULL: all
    ),
    (
        # The photo's path, no more in words: text, or bytes where it is no UTF-8, as all paths here. Of rows
        # from before, what was spelt out is taken from the columns that were always paths.
        "ALTER TABLE jobs RENAME COLUMN photo TO path",
        """
        UPDATE jobs SET path = CAST(
            CAST(place AS TEXT) || '/' || replace(path, rtrim(path, replace(path, '/', '')), '') AS BLOB
        ) WHERE typeof(place) = 'blob'
        """,
        """
        UPDATE jobs SET path = substr(original, length(CAST(inbox AS BLOB)) + 2)
        WHERE typeof(original) = 'blob'
        AND substr(original, 1, length(CAST(inbox AS BLOB))) = CAST(inbox AS BLOB)
        AND substr(original, length(CAST(inbox AS BLOB)) + 1, 1) = x'2F'
        """,
        "UPDATE jobs SET path = original WHERE typeof(original) = 'blob' AND inbox IS NULL",
        # A file's stamp in its one spelling, `size:mtime_ns:inode`.
        """
        CREATE TABLE seen_files (
            path PRIMARY KEY NOT NULL,
            root NOT NULL,
            stamp TEXT NOT NULL,
            verdict TEXT NOT NULL,
            photo_sha256 TEXT NOT NULL,
            keywords TEXT NOT NULL,            -- JSON
            sidecar TEXT NOT NULL              -- fingerprint of the sidecar that was paired
        ) WITHOUT ROWID
        """,
        """
        INSERT INTO seen_files SELECT path, root, size || ':' || mtime_ns || ':' || inode,
        verdict, photo_sha256, keywords, sidecar FROM seen
        """,
        "DROP TABLE seen",
        "ALTER TABLE seen_files RENAME TO seen",
        "CREATE INDEX seen_by_root ON seen (root)",
    ),
    (
        # How many jobs there are of each state: views ask each second, and to count takes a look at each.
        "CREATE TABLE counts (state TEXT PRIMARY KEY NOT NULL, count INTEGER NOT NULL) WITHOUT ROWID",
        "INSERT INTO counts SELECT state, count(*) FROM jobs GROUP BY state",
        """
        CREATE TRIGGER jobs_come AFTER INSERT ON jobs BEGIN
            INSERT INTO counts VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET count = count + 1;
        END
        """,
        """
        CREATE TRIGGER jobs_go AFTER DELETE ON jobs BEGIN
            UPDATE counts SET count = count - 1 WHERE state = OLD.state;
        END
        """,
        """
        CREATE TRIGGER jobs_move AFTER UPDATE OF state ON jobs WHEN NEW.state IS NOT OLD.state BEGIN
            UPDATE counts SET count = count - 1 WHERE state = OLD.state;
            INSERT INTO counts VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET count = count + 1;
        END
        """,
        # The program and network that a job's key was last found to be right for; NULL: nobody has looked.
        "ALTER TABLE jobs ADD COLUMN keyed_for TEXT",
        """
        CREATE TRIGGER jobs_keyed_anew AFTER UPDATE OF key ON jobs BEGIN
            UPDATE jobs SET keyed_for = NULL WHERE id = NEW.id;
        END
        """,
        "CREATE INDEX jobs_by_network ON jobs (keyed_for, id) WHERE state = 'queued'",
        # Keys that are no plain hash: few, and files of theirs are named otherwise.
        "CREATE INDEX jobs_of_odd_keys ON jobs (state) WHERE length(key) != 64 AND recipe IS NOT NULL",
        "CREATE INDEX seen_with_sidecar ON seen (root, path) WHERE sidecar != ''",
    ),
    (
        # The seat of a farm that paints or has painted it, and how often it lost one while it was painted.
        "ALTER TABLE jobs ADD COLUMN seat TEXT",
        "ALTER TABLE jobs ADD COLUMN lost INTEGER NOT NULL DEFAULT 0",
    ),
)
