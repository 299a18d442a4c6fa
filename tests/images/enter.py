"""Runs one program as a container runtime would run it: in a root of its own that cannot be written to, as process 1, as the
image's user and with no capability. Takes a description as JSON; the process outside the namespaces stays and passes signals on.

{"root", "command": [...], "env": {...}, "user", "mounts": [[outside, inside], ...], "tell": a file descriptor for the process's id}
"""

import ctypes
import json
import os
import signal
import sys

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID = 0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 23, 24, 38
# What this ends with where the machine does not let it make namespaces.
NOT_ALLOWED = 125

libc = ctypes.CDLL(None, use_errno=True)


def asked(what, answer):
    if answer != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def mount(source, target, kind=None, flags=0):
    asked(f"mount {target}", libc.mount(os.fsencode(source), os.fsencode(target), kind, ctypes.c_ulong(flags), None))


def may_become(user):
    """Whether this is root, and knows of that user: in a namespace of users it may not."""
    with open("/proc/self/uid_map") as known:
        ranges = [list(map(int, line.split())) for line in known]
    return os.geteuid() == 0 and any(first <= user < first + count for first, _, count in ranges)


def leave_this_machine(user):
    own = NEWNS | NEWUTS | NEWIPC | NEWPID
    if may_become(user):
        asked("unshare", libc.unshare(own))
        return
    outside = (os.geteuid(), os.getegid())
    asked("unshare", libc.unshare(own | NEWUSER))
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {outside[0]} 1"), ("gid_map", f"{user} {outside[1]} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)


def enter(description):
    root = description["root"]
    mount("proc", f"{root}/proc", b"proc", NOSUID | NODEV | NOEXEC)
    for outside, inside in description["mounts"]:
        mount(outside, root + inside, flags=BIND)
    mount("", root, flags=REMOUNT | BIND | RDONLY | NOSUID | NODEV)
    os.chroot(root)
    os.chdir("/")
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            asked("drop a capability", libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
    asked("no new privileges", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    user = description["user"]
    if os.geteuid() != user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    else:
        # The only user of a namespace of its own: with its one change of program it loses what it could there.
        header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        asked("capset", libc.capset(header, nothing))
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    command = description["command"]
    os.execve(command[0], command, description["env"])


def main():
    description = json.loads(sys.argv[1])
    try:
        leave_this_machine(description["user"])
        mount("", "/", flags=REC | PRIVATE)
        mount(description["root"], description["root"], flags=BIND | REC)
    except OSError as error:
        print(f"namespaces cannot be made here ({error}): run this as root, or where users may make their own", file=sys.stderr)
        return NOT_ALLOWED
    # The first child of a new namespace of processes is its process 1.
    child = os.fork()
    if child == 0:
        try:
            enter(description)
        except OSError as error:
            print(f"it could not be started: {error}", file=sys.stderr)
        os._exit(NOT_ALLOWED + 1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os.kill(child, number))
    os.write(description["tell"], f"{child}\n".encode())
    os.close(description["tell"])
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) % 256


if __name__ == "__main__":
    sys.exit(main())
