"""The closed list of reason codes: why a path is (not) in sync or a pair is held, and the way out.

A code is stable: scripts match on it. `docs/reasons.md` explains each; a test compares the two.
"""

import enum


class Reason(enum.StrEnum):
    """A stable code. `explanation` says what it means, `fix` what to do (empty: nothing to do)."""

    explanation: str
    fix: str

    def __new__(cls, code: str, explanation: str, fix: str = "") -> "Reason":
        member = str.__new__(cls, code)
        member._value_ = code
        member.explanation = explanation
        member.fix = fix
        return member

    # In sync, or on the way.
    IN_SYNC = "in-sync", "both sides hold the same"
    ABSENT = "absent", "neither side has this path"
    PENDING = "pending", "a change was seen and waits for its turn"
    SETTLING = "settling", "the path is still being written; it is synchronised once quiet"
    COMPARING = "comparing", "sizes are equal and the content must be read to tell"
    # What reconcile decided.
    ADDED = "added", "new on one side, put at the other"
    MODIFIED = "modified", "changed on one side, put at the other"
    DELETED = "deleted", "deleted on one side, so deleted at the other"
    MODE_CHANGED = "mode-changed", "permission bits changed"
    MOVED = "moved", "renamed on one side, so renamed at the other"
    SAME_CHANGE = "same-change", "both sides made the same change"
    UNDONE = "undone", "the mode does not accept changes of this side: undone"
    LEFT_ALONE = "left-alone", "the mode never deletes or reads back here: left as it is"
    EDIT_BEATS_DELETE = "edit-beats-delete", "one side edited what the other deleted: the edit is kept"
    FIRST_SYNC_WINS = "first-sync-wins", "the first sync makes one side authoritative"
    KEPT_FOR_IGNORED = "kept-for-ignored", "the directory holds only ignored content and is kept for it"
    IGNORED = (
        "ignored",
        "an ignore rule matches; the path is invisible on both sides",
        ("see 'syncctl ignore test PATH' for the rule"),
    )
    SPECIAL_FILE = "special-file", "a socket, pipe or device is left alone"
    OTHER_FILESYSTEM = (
        "other-filesystem",
        "another file system is mounted here and is not entered",
        ("set cross_mounts = true to enter it"),
    )
    # Conflicts.
    CONFLICT_MODIFIED = "conflict-modified", "both sides changed it differently"
    CONFLICT_ADDED = "conflict-added", "both sides added it differently"
    CONFLICT_MOVED = "conflict-moved", "both sides renamed it differently"
    CONFLICT_MANUAL = (
        "conflict-manual",
        "the conflict waits for a person",
        ("syncctl conflicts resolve PAIR ID --keep source|destination|both|newest"),
    )
    # Issues of a path.
    UNREADABLE = (
        "unreadable",
        "the file or directory cannot be read",
        ("give the daemon's user read permission"),
    )
    NOT_PERMITTED = (
        "not-permitted",
        "the file system refuses the change (permission, immutable)",
        ("check owner, mode and attributes (lsattr) of the path and its directory"),
    )
    NAME_NOT_POSSIBLE = "name-not-possible", "this tree cannot hold the name", "rename the file"
    NAME_COLLISION = (
        "name-collision",
        "another name differs only in case or Unicode form on this tree",
        ("rename one of the two"),
    )
    RESERVED_NAME = "reserved-name", "the name is syncd's own control name", "rename the file"
    PATH_TOO_LONG = "path-too-long", "the path is longer than the tree allows", "shorten it"
    CHANGING = "changing", "the file changes while it is read; it is tried again when quiet"
    IO_ERROR = "io-error", "the device reported an input/output error", "check the disk and its cables"
    NOT_EMPTY = "not-empty", "the directory to remove holds something that is not synchronised"
    BLOCKED = "blocked", "the path waits for another one (its directory, or the file in its place)"
    RETRY = "retry", "the attempt failed and is repeated with back-off"
    QUARANTINED = (
        "quarantined",
        "the path failed again and again and is tried rarely",
        ("mend the cause, then 'syncctl sync PAIR'"),
    )
    SUSPECT_TRUNCATED = (
        "suspect-truncated",
        ("the file shrank without a new time stamp since an unclean stop; it is not put at the other side"),
        "restore or touch the file",
    )
    SUSPECT_TORN = (
        "suspect-torn",
        ("a power cut took back or tore what was last written to it; it is not put at the other side"),
        "restore or touch the file",
    )
    # Holds and waits of a pair.
    ROOT_MISSING = (
        "root-missing",
        "the root directory is not there",
        ("mount or create it; the pair resumes by itself"),
    )
    ROOT_CHANGED = (
        "root-changed",
        "the root is not the directory that it was",
        ("put the old one back, or 'syncctl pair adopt PAIR' to accept the new one"),
    )
    FOREIGN_MARKER = (
        "foreign-marker",
        "the root belongs to another pair",
        ("syncctl pair adopt PAIR takes it over"),
    )
    ROOT_NOT_WRITABLE = (
        "root-not-writable",
        "the daemon may not write to the root",
        ("give its user write permission; under systemd add ReadWritePaths and restart"),
    )
    MASS_DELETE = (
        "mass-delete",
        "the plan deletes unusually much of one side",
        ("syncctl plan show PAIR, then plan approve, reject or revert"),
    )
    MASS_CHANGE = (
        "mass-change",
        "unusually many files were changed at once, as encryption would",
        ("syncctl plan show PAIR, then plan approve, reject or revert"),
    )
    SIDE_EMPTIED = (
        "side-emptied",
        "a side that held files has none",
        ("syncctl plan show PAIR, then plan approve, reject or revert"),
    )
    FIRST_RUN = (
        "first-run",
        "the first run of this pair deletes much",
        ("syncctl plan show PAIR, then plan approve, reject or revert"),
    )
    STATE_LOST = (
        "state-lost",
        "the state of a mirror pair was lost; what it would destroy must be approved",
        "syncctl plan show PAIR, then plan approve, reject or revert",
    )
    TRASH_FULL = (
        "trash-full",
        "the trash may not grow and nothing in it may be dropped yet",
        ("raise trash.max_size; what lies there for more than a day makes room by itself"),
    )
    DISK_FULL = (
        "disk-full",
        "no space, inodes or quota left on the target",
        ("free space; the pair goes on by itself"),
    )
    READ_ONLY = "read-only", "the file system is read-only", "remount it read-write"
    STATE_UNWRITABLE = (
        "state-unwritable",
        "the state directory cannot be written",
        ("free space or mend permissions of the state directory"),
    )
    STATE_BUSY = (
        "state-busy",
        "another process uses this pair's state",
        ("stop the other syncd, or give one of them another --state-dir"),
    )
    STATE_DAMAGED = "state-damaged", "the state was damaged; it was put aside and is rebuilt"
    STATE_NEWER = "state-newer", "the state was written by a newer syncd", "install that version again"
    PAUSED = "paused", "the pair is paused", "syncctl resume PAIR"
    FAILED = (
        "failed",
        "the pair stopped after repeated errors",
        "see 'syncctl log', then 'syncctl resume PAIR'",
    )
    # The watcher.
    WATCH_LIMIT = (
        "watch-limit",
        "the kernel's limit of watches or instances is reached; polling instead",
        ("sysctl fs.inotify.max_user_watches=1048576 (and max_user_instances=1024)"),
    )
    WATCH_UNSUPPORTED = "watch-unsupported", "this file system reports no events; polling instead"
    WATCH_LOST = "watch-lost", "events were lost; the tree is scanned again"
    # Requests.
    NO_SUCH_PAIR = "no-such-pair", "no pair has this name", "see 'syncctl list'"
    NO_SUCH_PATH = "no-such-path", "no pair holds this path", "see 'syncctl list'"
    NO_SUCH_ID = "no-such-id", "nothing has this id"
    BAD_REQUEST = "bad-request", "the request is malformed"
    CONFIG_INVALID = (
        "config-invalid",
        "the configuration has errors; nothing of it was applied",
        ("mend the lines named, then 'syncctl reload'"),
    )
    NOT_ALLOWED = "not-allowed", "this is for the daemon's owner and root", "run it as that user"
    SOCKET_UNUSABLE = (
        "socket-unusable",
        "the control socket cannot be made at its path",
        ("remove what is in its place, or set another path with --socket"),
    )
    TOO_MANY_CLIENTS = "too-many-clients", "the control socket serves as many clients as it can", "try again"
    BUG = "bug", "an internal error; please report it", "syncctl log shows the details"
