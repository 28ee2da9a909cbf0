-- The index of a pair, first version.
--
-- One file holds both trees, the base between them and what else must commit with them. Paths are never
-- stored in `nodes` and `base`: a row knows its parent and its name, so a directory rename is one row.
-- Names are BLOBs (any bytes but NUL and '/'). Times are ns since the epoch, inodes are signed 64-bit.
-- kind: 1 file, 2 directory, 3 symlink, 4 special; in `base` also 0, a row that only carries descendants.
--
-- The outer statements on `nodes` must never carry an OR clause (INSERT OR REPLACE …): SQLite would use it
-- for the statements inside the triggers too.

-- What is where, on both trees. Node ids are never reused: they are the identity that a move is found by.
-- tree: 1 source, 2 destination. The roots are nodes 1 and 2 and have no parent.
-- flags: 1 the directory was listed (its absent names are absent); 2 it holds ignored names;
--        4 the digest was learnt from the very content that the feed announced already.
CREATE TABLE nodes (
    node_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    tree      INTEGER NOT NULL CHECK (tree IN (1, 2)),
    parent_id INTEGER,
    name      BLOB    NOT NULL,
    kind      INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 4),
    mode      INTEGER NOT NULL DEFAULT 0,
    size      INTEGER NOT NULL DEFAULT 0,
    mtime_ns  INTEGER NOT NULL DEFAULT 0,
    digest    BLOB,
    target    BLOB,
    flags     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (parent_id, name)
);
CREATE INDEX nodes_unlisted ON nodes (tree) WHERE kind = 2 AND flags & 1 = 0;
CREATE INDEX nodes_with_invisible ON nodes (tree) WHERE flags & 2 OR kind = 4;

-- The feed: one row per node, deleted and inserted again whenever a synchronised field changes, so it
-- compacts itself and a reader's drain costs what changed. created_seq NULL: this row is the node's first.
-- A tombstone (deleted = 1) keeps the last place, and stays until every reader's ack has passed it and a
-- minimum age is over.
CREATE TABLE changes (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    node_id        INTEGER NOT NULL UNIQUE,
    tree           INTEGER NOT NULL,
    created_seq    INTEGER,
    deleted        INTEGER NOT NULL DEFAULT 0,
    last_parent_id INTEGER,
    last_name      BLOB,
    last_kind      INTEGER
);
CREATE INDEX changes_tombstones ON changes (seq) WHERE deleted = 1;

-- Places that a node left by a move. A live node's feed row does not carry its old place, and what the other
-- tree holds there must be looked at again. Dropped once acknowledged.
CREATE TABLE vacated (
    seq       INTEGER PRIMARY KEY,
    node_id   INTEGER NOT NULL,
    tree      INTEGER NOT NULL,
    parent_id INTEGER NOT NULL,
    name      BLOB    NOT NULL,
    kind      INTEGER NOT NULL
);

-- How far each reader of the feed has come, and when the head stood where (the age of a tombstone).
CREATE TABLE readers (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE feed_marks (at_ns INTEGER PRIMARY KEY, seq INTEGER NOT NULL);

-- Files (links included) and bytes: of the trees (1, 2) and of the base (3). Kept by triggers.
CREATE TABLE totals (tree INTEGER PRIMARY KEY, files INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO totals VALUES (1, 0, 0), (2, 0, 0), (3, 0, 0);

CREATE TRIGGER nodes_inserted AFTER INSERT ON nodes WHEN NEW.parent_id IS NOT NULL BEGIN
    INSERT INTO changes (node_id, tree) VALUES (NEW.node_id, NEW.tree);
    UPDATE totals SET files = files + 1, bytes = bytes + NEW.size
     WHERE tree = NEW.tree AND NEW.kind IN (1, 3);
END;

CREATE TRIGGER nodes_deleted AFTER DELETE ON nodes BEGIN
    INSERT OR REPLACE INTO changes (node_id, tree, created_seq, deleted, last_parent_id, last_name, last_kind)
    VALUES (OLD.node_id, OLD.tree,
            (SELECT coalesce(created_seq, seq) FROM changes WHERE node_id = OLD.node_id),
            1, OLD.parent_id, OLD.name, OLD.kind);
    UPDATE totals SET files = files - 1, bytes = bytes - OLD.size
     WHERE tree = OLD.tree AND OLD.kind IN (1, 3);
END;

-- Only a synchronised field makes a feed row: touching the mtimes of a whole tree writes none.
CREATE TRIGGER nodes_changed AFTER UPDATE OF kind, mode, size, digest, target ON nodes
WHEN NEW.kind IS NOT OLD.kind OR NEW.mode IS NOT OLD.mode OR NEW.size IS NOT OLD.size
  OR NEW.target IS NOT OLD.target
  OR (NEW.digest IS NOT OLD.digest AND NOT (OLD.digest IS NULL AND NEW.flags & 4))
BEGIN
    INSERT OR REPLACE INTO changes (node_id, tree, created_seq)
    VALUES (NEW.node_id, NEW.tree,
            (SELECT coalesce(created_seq, seq) FROM changes WHERE node_id = NEW.node_id));
END;

CREATE TRIGGER nodes_moved AFTER UPDATE OF parent_id, name ON nodes
WHEN NEW.parent_id IS NOT OLD.parent_id OR NEW.name IS NOT OLD.name
BEGIN
    INSERT OR REPLACE INTO changes (node_id, tree, created_seq)
    VALUES (NEW.node_id, NEW.tree,
            (SELECT coalesce(created_seq, seq) FROM changes WHERE node_id = NEW.node_id));
    INSERT INTO vacated (seq, node_id, tree, parent_id, name, kind)
    SELECT seq, node_id, OLD.tree, OLD.parent_id, OLD.name, OLD.kind FROM changes WHERE node_id = NEW.node_id;
END;

CREATE TRIGGER nodes_resized AFTER UPDATE OF kind, size ON nodes
WHEN NEW.kind IS NOT OLD.kind OR NEW.size IS NOT OLD.size
BEGIN
    UPDATE totals
       SET files = files + (NEW.kind IN (1, 3)) - (OLD.kind IN (1, 3)),
           bytes = bytes + NEW.size * (NEW.kind IN (1, 3)) - OLD.size * (OLD.kind IN (1, 3))
     WHERE tree = NEW.tree;
END;

-- A directory can never come beneath itself, whatever a caller gets wrong.
CREATE TRIGGER nodes_refuse_cycle BEFORE UPDATE OF parent_id ON nodes
WHEN NEW.parent_id IS NOT OLD.parent_id AND NEW.kind = 2
BEGIN
    SELECT RAISE(ABORT, 'a directory cannot be moved beneath itself')
     WHERE EXISTS (
        WITH RECURSIVE above (id) AS (
            SELECT NEW.parent_id
            UNION
            SELECT n.parent_id FROM nodes n JOIN above a ON n.node_id = a.id WHERE n.parent_id IS NOT NULL
        ) SELECT 1 FROM above WHERE id = NEW.node_id);
END;

INSERT INTO nodes (node_id, tree, parent_id, name, kind) VALUES (1, 1, NULL, x'', 2), (2, 2, NULL, x'', 2);

-- The stat hints of a directory's children, one packed record per listed directory (core/listing.py), and
-- the directory's own inode. A rescan compares these bytes and looks closer only where they differ.
CREATE TABLE records (node_id INTEGER PRIMARY KEY, inode INTEGER NOT NULL, record BLOB NOT NULL);
CREATE INDEX records_by_inode ON records (inode);
-- Children of huge directories that changed since the record was written (NULL: gone); folded in on reading,
-- so that a batch of puts does not write megabytes again and again.
CREATE TABLE record_patches (
    node_id INTEGER NOT NULL, name BLOB NOT NULL, child BLOB, PRIMARY KEY (node_id, name)
) WITHOUT ROWID;
CREATE TRIGGER nodes_drop_record AFTER DELETE ON nodes WHEN OLD.kind = 2 BEGIN
    DELETE FROM records WHERE node_id = OLD.node_id;
    DELETE FROM record_patches WHERE node_id = OLD.node_id;
END;

-- What both sides were last known to share, with the nodes that it was shared by. For a node that moved, the
-- row stays at the base path until an action or an adoption moves it.
CREATE TABLE base (
    base_id          INTEGER PRIMARY KEY,
    parent_id        INTEGER,
    name             BLOB    NOT NULL,
    kind             INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),
    mode             INTEGER NOT NULL DEFAULT 0,
    size             INTEGER NOT NULL DEFAULT 0,
    mtime_ns         INTEGER NOT NULL DEFAULT 0,
    digest           BLOB,
    target           BLOB,
    source_node      INTEGER UNIQUE,
    destination_node INTEGER UNIQUE,
    unverified       INTEGER NOT NULL DEFAULT 0,
    UNIQUE (parent_id, name)
);
CREATE TRIGGER base_inserted AFTER INSERT ON base WHEN NEW.kind IN (1, 3) BEGIN
    UPDATE totals SET files = files + 1, bytes = bytes + NEW.size WHERE tree = 3;
END;
CREATE TRIGGER base_deleted AFTER DELETE ON base WHEN OLD.kind IN (1, 3) BEGIN
    UPDATE totals SET files = files - 1, bytes = bytes - OLD.size WHERE tree = 3;
END;
CREATE TRIGGER base_resized AFTER UPDATE OF kind, size ON base
WHEN NEW.kind IS NOT OLD.kind OR NEW.size IS NOT OLD.size
BEGIN
    UPDATE totals
       SET files = files + (NEW.kind IN (1, 3)) - (OLD.kind IN (1, 3)),
           bytes = bytes + NEW.size * (NEW.kind IN (1, 3)) - OLD.size * (OLD.kind IN (1, 3))
     WHERE tree = 3;
END;
INSERT INTO base (base_id, parent_id, name, kind, source_node, destination_node)
VALUES (1, NULL, x'', 2, 1, 2);

-- Paths that are not in sync and wait: an issue, a back-off, a manual conflict. side 0: both or neither.
-- next_attempt_ns NULL: no retry by itself, it waits for a change, an approval or a person.
CREATE TABLE pending (
    path            BLOB PRIMARY KEY,
    reason          TEXT    NOT NULL,
    detail          TEXT    NOT NULL DEFAULT '',
    side            INTEGER NOT NULL DEFAULT 0,
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_ns INTEGER,
    since_ns        INTEGER NOT NULL DEFAULT 0,
    is_observed     INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX pending_by_time ON pending (next_attempt_ns);

-- Conflict records; `record` is the encoded core.conflict.ConflictRecord.
CREATE TABLE conflicts (
    conflict_id TEXT    PRIMARY KEY,
    path        BLOB    NOT NULL,
    state       TEXT    NOT NULL,
    is_manual   INTEGER NOT NULL,
    at_ns       INTEGER NOT NULL,
    record      BLOB    NOT NULL
);
CREATE INDEX conflicts_by_path ON conflicts (path);

-- The journal: what was done, per batch. The old bytes lie in the trash slot.
CREATE TABLE batches (
    batch_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    started_ns INTEGER NOT NULL,
    ended_ns   INTEGER
);
CREATE TABLE actions (
    action_id   INTEGER PRIMARY KEY,
    batch_id    INTEGER NOT NULL,
    at_ns       INTEGER NOT NULL,
    verb        INTEGER NOT NULL,
    side        INTEGER NOT NULL,
    path        BLOB    NOT NULL,
    other_path  BLOB,
    size        INTEGER NOT NULL DEFAULT 0,
    old_mode    INTEGER,
    trash_batch TEXT, -- NULL: the batch itself
    trash_slot  TEXT
);
CREATE INDEX actions_by_batch ON actions (batch_id);
CREATE INDEX actions_deletions ON actions (side, at_ns, size) WHERE verb = 4;

-- Digests of destructive actions that a person approved.
CREATE TABLE approvals (digest TEXT PRIMARY KEY, at_ns INTEGER NOT NULL) WITHOUT ROWID;

-- The content of the ignore files in force.
CREATE TABLE ignore_files (
    side INTEGER NOT NULL, directory BLOB NOT NULL, content BLOB NOT NULL, PRIMARY KEY (side, directory)
) WITHOUT ROWID;

-- Single values: pair key, fingerprints of mode and filter, epoch, floor_seq, clean_shutdown …
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
