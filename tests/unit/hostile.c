/* SPDX-License-Identifier: ISC */
/*
 * The attempts of a hostile worker, one function for each; those on files are
 * in hostile_files.c.
 */
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compiler.h"
#include "common/sandbox.h"
#include "hostile_priv.h"

/*** Programs. ***/

static int
execute_shell(const struct prey *prey ATTR_UNUSED)
{
	return OUTCOME(execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL));
}

static int
execute_memory(const struct prey *prey ATTR_UNUSED)
{
	static const char script[] = "#!/bin/true\n";
	char *argv[] = {NULL, NULL}, *env[] = {NULL};
	int fd = memfd_create("program", 0);

	if (fd == -1 || write(fd, script, sizeof(script) - 1) == -1)
		return errno;
	argv[0] = (char *)(uintptr_t)"program";
	return OUTCOME(fexecve(fd, argv, env));
}

static int
fork_process(const struct prey *prey ATTR_UNUSED)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return OUTCOME(pid);
}

static int
map_code(const struct prey *prey ATTR_UNUSED)
{
	void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (code == MAP_FAILED)
		return errno;
	return OUTCOME(mprotect(code, 4096, PROT_READ | PROT_EXEC));
}

/*** Other processes. ***/

static int
signal_sibling(const struct prey *prey)
{
	return OUTCOME(kill(prey->sibling, SIGCONT));
}

static int
signal_parent(const struct prey *prey ATTR_UNUSED)
{
	return OUTCOME(kill(getppid(), SIGCONT));
}

static int
signal_all(const struct prey *prey)
{
	return OUTCOME(kill(-prey->sibling, SIGCONT));
}

static int
own_signals(const struct prey *prey)
{
	int ends[2];

	if (pipe(ends) == -1)
		return errno;
	return OUTCOME(fcntl(ends[0], F_SETOWN, prey->sibling));
}

static int
trace_sibling(const struct prey *prey)
{
	return OUTCOME(ptrace(PTRACE_SEIZE, prey->sibling, NULL, NULL));
}

static int
read_sibling(const struct prey *prey)
{
	char to[sizeof(prey->readable)];
	struct iovec local = {to, sizeof(to)};
	struct iovec remote = {(void *)(uintptr_t)prey->readable, sizeof(to)};

	return OUTCOME(process_vm_readv(prey->sibling, &local, 1, &remote, 1,
	    0));
}

static int
open_memory_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	return OUTCOME(open(path, O_RDWR));
}

static int
open_sibling_memory(const struct prey *prey)
{
	return open_memory_of(prey->sibling);
}

static int
open_init_memory(const struct prey *prey ATTR_UNUSED)
{
	return open_memory_of(1);
}

static int
take_descriptor(const struct prey *prey)
{
	int fd = (int)syscall(SYS_pidfd_open, prey->sibling, 0);

	if (fd == -1)
		return errno;
	return OUTCOME(syscall(SYS_pidfd_getfd, fd, 0, 0));
}

static int
slow_sibling(const struct prey *prey)
{
	return OUTCOME(setpriority(PRIO_PROCESS, (id_t)prey->sibling, 19));
}

static int
move_sibling(const struct prey *prey)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	return OUTCOME(sched_setaffinity(prey->sibling, sizeof(all), &all));
}

static int
limit_sibling(const struct prey *prey)
{
	struct rlimit limit;

	return OUTCOME(prlimit(prey->sibling, RLIMIT_NOFILE, NULL, &limit));
}

/*** Who we are. ***/

static int
become_root(const struct prey *prey ATTR_UNUSED)
{
	return OUTCOME(syscall(SYS_setresuid, 0, 0, 0));
}

static int
become_anybody(const struct prey *prey ATTR_UNUSED)
{
	return OUTCOME(syscall(SYS_setresuid, ANYBODY, ANYBODY, ANYBODY));
}

static int
join_group(const struct prey *prey ATTR_UNUSED)
{
	gid_t group = ANYBODY;

	return OUTCOME(syscall(SYS_setgroups, 1, &group));
}

static int
new_user_namespace(const struct prey *prey ATTR_UNUSED)
{
	return OUTCOME(unshare(CLONE_NEWUSER));
}

static int
new_network(const struct prey *prey ATTR_UNUSED)
{
	return OUTCOME(unshare(CLONE_NEWNET));
}

static int
be_dumped(const struct prey *prey ATTR_UNUSED)
{
	return OUTCOME(prctl(PR_SET_DUMPABLE, 1));
}

static int
leave_core(const struct prey *prey ATTR_UNUSED)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) == -1)
		return errno;
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max == 0)
		return EPERM;
	return OUTCOME(setrlimit(RLIMIT_CORE, &limit));
}

/*** Network. ***/

static int
connect_tcp(const struct prey *prey)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(prey->tcp_port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == -1)
		return errno;
	return OUTCOME(connect(fd, (const void *)&to, sizeof(to)));
}

static int
listen_tcp(const struct prey *prey ATTR_UNUSED)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == -1)
		return errno;
	return OUTCOME(bind(fd, (const void *)&at, sizeof(at)));
}

static int
connect_unix(const char *name, size_t size)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd == -1)
		return errno;
	memcpy(to.sun_path, name, size);
	return OUTCOME(connect(fd, (const void *)&to, (socklen_t)(size +
	    offsetof(struct sockaddr_un, sun_path))));
}

static int
connect_abstract(const struct prey *prey)
{
	return connect_unix(prey->abstract, strlen(prey->abstract + 1) + 1);
}

static int
connect_path(const struct prey *prey)
{
	return connect_unix(prey->path, strlen(prey->path) + 1);
}

#define OPENS_SOCKET(name, family, type, protocol)			\
	static int							\
	name(const struct prey *prey ATTR_UNUSED)			\
	{								\
		return OUTCOME(socket((family), (type), (protocol)));	\
	}

OPENS_SOCKET(open_udp, AF_INET6, SOCK_DGRAM, 0)
OPENS_SOCKET(open_raw, AF_INET, SOCK_RAW, IPPROTO_ICMP)
OPENS_SOCKET(open_packet, AF_PACKET, SOCK_DGRAM, 0)
OPENS_SOCKET(open_netlink, AF_NETLINK, SOCK_RAW, 0)

/*** The kernel. ***/

static int
type_at_terminal(const struct prey *prey)
{
	return prey->terminal == -1 ? ENOTTY :
	    OUTCOME(ioctl(prey->terminal, TIOCSTI, "x"));
}

static int
add_key(const struct prey *prey ATTR_UNUSED)
{
	const long process_keyring = -2;

	return OUTCOME(syscall(SYS_add_key, "user", "mcrelay-test", "x", 1,
	    process_keyring));
}

/* An array of one entry. */
static int
make_bpf_map(const struct prey *prey ATTR_UNUSED)
{
	const uint32_t attributes[30] = {2, 4, 8, 1};

	return OUTCOME(syscall(SYS_bpf, 0, attributes, sizeof(attributes)));
}

static int
make_uring(const struct prey *prey ATTR_UNUSED)
{
	char parameters[120] = {0};

	return OUTCOME(syscall(SYS_io_uring_setup, 1, parameters));
}

static int
count_events(const struct prey *prey ATTR_UNUSED)
{
	struct perf_event_attr attributes = {.size = sizeof(attributes),
	    .type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CPU_CLOCK};

	return OUTCOME(syscall(SYS_perf_event_open, &attributes, 0, -1, -1,
	    0));
}

static int
handle_faults(const struct prey *prey ATTR_UNUSED)
{
	return OUTCOME(syscall(SYS_userfaultfd, 0));
}

static int
share_memory(const struct prey *prey ATTR_UNUSED)
{
	int id = shmget(IPC_PRIVATE, 4096, 0600);

	if (id == -1)
		return errno;
	shmctl(id, IPC_RMID, NULL);
	return 0;
}

static int
watch_files(const struct prey *prey ATTR_UNUSED)
{
	return OUTCOME(syscall(SYS_fanotify_init, 0, O_RDONLY));
}

static int
read_kernel_log(const struct prey *prey ATTR_UNUSED)
{
	char text[64];

	return OUTCOME(syscall(SYS_syslog, 3, text, sizeof(text)));
}

#define FILES		SANDBOX_FILES
#define PRIVILEGES	SANDBOX_PRIVILEGES
#define MEMORY		SANDBOX_MEMORY
#define CALLS		SANDBOX_CALLS
#define USER		REFUSED_BY_USER

const struct attempt	attempts[] = {
	{"open /etc/passwd", open_password_file, FILES | CALLS},
	{"open an absolute path", open_absolute, FILES},
	{"open ../outside/secret", open_above, FILES},
	{"open through a symbolic link", open_through_link, FILES},
	{"list ..", list_above, FILES},
	{"make a file outside", make_file_outside, FILES | USER},
	{"remove a file outside", remove_outside, FILES | USER},
	{"rename a file out of the archive", rename_out, FILES | USER},
	{"link a file into the archive", link_in, FILES},
	{"make a symbolic link", make_link, FILES | CALLS},
	{"make a FIFO", make_fifo, FILES | CALLS},
	{"make a directory", make_directory, FILES | CALLS},
	{"make a device", make_device, FILES | PRIVILEGES | CALLS | USER},
	{"make a socket file", make_socket, FILES | CALLS},
	{"truncate a file outside", truncate_outside, CALLS | USER},
	{"give a file away", give_away, PRIVILEGES | CALLS | USER},
	{"set a file's user bit", set_user_bit, CALLS},
	{"open a file by its handle", open_by_handle,
	    PRIVILEGES | CALLS | USER},
	{"chroot", change_root, PRIVILEGES | CALLS | USER},
	{"mount", mount_something, PRIVILEGES | FILES | CALLS | USER},
	{"execute a shell", execute_shell, FILES | CALLS},
	{"execute a memory file", execute_memory, FILES | CALLS},
	{"fork", fork_process, CALLS},
	{"map code", map_code, CALLS},
	{"signal a sibling", signal_sibling, CALLS | USER},
	{"signal the parent", signal_parent, CALLS | USER},
	{"signal a process group", signal_all, CALLS | USER},
	{"have signals sent to a sibling", own_signals, CALLS},
	{"trace a sibling", trace_sibling, MEMORY | FILES | CALLS | USER},
	{"read a sibling's memory", read_sibling,
	    MEMORY | FILES | CALLS | USER},
	{"open a sibling's memory", open_sibling_memory,
	    MEMORY | FILES | CALLS | USER},
	{"open the memory of process 1", open_init_memory,
	    PRIVILEGES | FILES | CALLS | USER},
	{"take a sibling's descriptor", take_descriptor,
	    MEMORY | FILES | CALLS | USER},
	{"slow a sibling down", slow_sibling, CALLS | USER},
	{"move a sibling to other CPUs", move_sibling, CALLS | USER},
	{"see a sibling's limits", limit_sibling, CALLS | USER},
	{"become root", become_root, CALLS | USER},
	{"become anybody", become_anybody, PRIVILEGES | CALLS | USER},
	{"join a group", join_group, PRIVILEGES | CALLS | USER},
	{"make a user namespace", new_user_namespace, CALLS},
	{"make a network namespace", new_network, PRIVILEGES | CALLS | USER},
	{"become dumpable again", be_dumped, CALLS},
	{"leave a core", leave_core, MEMORY},
	{"connect to a TCP port", connect_tcp, CALLS},
	{"listen on a TCP port", listen_tcp, CALLS},
	{"connect to an abstract socket", connect_abstract, CALLS},
	{"connect to a socket's path", connect_path, CALLS},
	{"open a UDP socket", open_udp, CALLS},
	{"open a raw socket", open_raw, PRIVILEGES | CALLS | USER},
	{"open a packet socket", open_packet, PRIVILEGES | CALLS | USER},
	{"open a netlink socket", open_netlink, CALLS},
	{"type at the terminal (TIOCSTI)", type_at_terminal, CALLS},
	{"add a key", add_key, CALLS},
	{"make a BPF map", make_bpf_map, PRIVILEGES | CALLS},
	{"make an io_uring", make_uring, CALLS},
	{"count events (perf)", count_events, CALLS},
	{"handle page faults", handle_faults, CALLS},
	{"make SysV shared memory", share_memory, CALLS},
	{"watch all files (fanotify)", watch_files, PRIVILEGES | CALLS | USER},
	{"read the kernel's log", read_kernel_log, PRIVILEGES | CALLS},
};

const size_t	attempt_count = NITEMS(attempts);
