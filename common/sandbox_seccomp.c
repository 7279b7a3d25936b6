/* SPDX-License-Identifier: ISC */
/*
 * No system call but those that a program makes, by libseccomp.  Children of
 * the supervisor.
 *
 * The kernel remembers which calls are allowed whatever their arguments: those
 * of the data path cost 50 ns more each, however long the list is.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/sandbox_priv.h"

#ifdef HAVE_SECCOMP

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <unistd.h>

#include "common/sandbox_calls.h"

static const int	fcntl_commands[] = {
	F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD, F_DUPFD_CLOEXEC,
	F_GET_SEALS, F_OFD_SETLK, F_OFD_GETLK, F_SETLEASE, F_SETSIG,
};

#ifndef PR_SET_VMA
#define PR_SET_VMA	0x53564d41
#endif

static const int	prctl_options[] = {
	PR_SET_NAME, PR_GET_NAME, PR_SET_VMA,
};

/* Conditions: the argument of that index, or some bits of it, is `value'. */
#define EQUALS(index, value)						\
	{.arg = (index), .op = SCMP_CMP_EQ,				\
	    .datum_a = (scmp_datum_t)(value)}
#define MASKED(index, mask, value)					\
	{.arg = (index), .op = SCMP_CMP_MASKED_EQ,			\
	    .datum_a = (scmp_datum_t)(mask),				\
	    .datum_b = (scmp_datum_t)(value)}

/* What the worker's list is that is in force, for what its threads give up. */
static struct {
	bool	in_force;
	bool	kill;
	bool	syslog;
} worker;

/* A filter in the making, and whether all has gone well so far. */
struct filter {
	scmp_filter_ctx	 context;
	bool		 good;
};

static void
allow_if(struct filter *filter, const char *name, unsigned conditions,
    const struct scmp_arg_cmp *condition)
{
	int number = seccomp_syscall_resolve_name(name);

	/* Below zero: not of this architecture. */
	if (number >= 0 && seccomp_rule_add_array(filter->context,
	    SCMP_ACT_ALLOW, number, conditions, condition) != 0)
		filter->good = false;
}

static void
allow(struct filter *filter, const char *const *names, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		allow_if(filter, names[i], 0, NULL);
}

/* If the argument of that index is one of these. */
static void
allow_values(struct filter *filter, const char *name, unsigned argument,
    const int *values, size_t count)
{
	struct scmp_arg_cmp condition = {.arg = argument, .op = SCMP_CMP_EQ};
	size_t i;

	for (i = 0; i < count; i++) {
		condition.datum_a = (scmp_datum_t)values[i];
		allow_if(filter, name, 1, &condition);
	}
}

/* Memory that is or becomes no code. */
static void
allow_data(struct filter *filter, const char *name)
{
	const struct scmp_arg_cmp no_code = MASKED(2, PROT_EXEC, 0);

	allow_if(filter, name, 1, &no_code);
}

/* What ends the process on an error, or asks for its own limits. */
static void
allow_itself(struct filter *filter)
{
	const struct scmp_arg_cmp own = EQUALS(0, getpid());
	const struct scmp_arg_cmp first = EQUALS(0, gettid());
	const struct scmp_arg_cmp get_own[] = {EQUALS(0, 0), EQUALS(2, 0)};

	allow_if(filter, "tgkill", 1, &own);
	/* musl's abort(), which in another thread goes on to an instruction
	 * that is none. */
	allow_if(filter, "tkill", 1, &first);
	allow_if(filter, "prlimit64", NITEMS(get_own), get_own);
}

static void
allow_threads(struct filter *filter)
{
	const struct scmp_arg_cmp thread = MASKED(0, CLONE_THREAD | CLONE_VM,
	    CLONE_THREAD | CLONE_VM);

	allow_if(filter, "clone", 1, &thread);
	/* See refuse_clone3(). */
	allow_if(filter, "clone3", 0, NULL);
	allow_values(filter, "prctl", 0, prctl_options,
	    NITEMS(prctl_options));
}

static void
allow_worker(struct filter *filter)
{
	/* For the address of a datagram's source. */
	const struct scmp_arg_cmp interface_name = EQUALS(1, SIOCGIFNAME);
	const struct scmp_arg_cmp own = EQUALS(0, 0);
	const struct scmp_arg_cmp first[] = {EQUALS(0, PRIO_PROCESS),
	    EQUALS(1, gettid())};

	/* For sandbox_thread(), which refuses it then. */
	const struct scmp_arg_cmp less[] = {EQUALS(0, SECCOMP_SET_MODE_FILTER),
	    MASKED(1, ~SECCOMP_FILTER_FLAG_LOG, 0)};

	allow_if(filter, "seccomp", NITEMS(less), less);
	allow_threads(filter);
	allow_if(filter, "ioctl", 1, &interface_name);
	allow_if(filter, "sched_setaffinity", 1, &own);
	allow_if(filter, "setpriority", NITEMS(first), first);
}

/* Of its directory, /proc, it reads files; Landlock knows no others. */
static void
allow_web(struct filter *filter, int directory)
{
	const struct scmp_arg_cmp reading[] = {EQUALS(0, directory),
	    MASKED(2, O_ACCMODE, O_RDONLY)};

	/* A thread makes itself less urgent. */
	const struct scmp_arg_cmp own[] = {EQUALS(0, PRIO_PROCESS),
	    EQUALS(1, 0)};

	allow(filter, calls_of_web, NITEMS(calls_of_web));
	allow_threads(filter);
	allow_if(filter, "setpriority", NITEMS(own), own);
	if (directory != -1)
		allow_if(filter, "openat", NITEMS(reading), reading);
}

/* What it reads Landlock says, where the kernel has it. */
static void
allow_forwarder(struct filter *filter)
{
	const struct scmp_arg_cmp reading = MASKED(2, O_ACCMODE | O_CREAT |
	    O_TRUNC, O_RDONLY);
	static const int families[] = {AF_INET, AF_INET6, AF_UNIX,
	    AF_NETLINK}, requests[] = {FIONREAD, FIONBIO};

	allow(filter, calls_of_forwarders, NITEMS(calls_of_forwarders));
	allow_threads(filter);
	allow_values(filter, "socket", 0, families, NITEMS(families));
	allow_values(filter, "ioctl", 1, requests, NITEMS(requests));
	allow_if(filter, "openat", 1, &reading);
}

static void
allow_directory(struct filter *filter, int directory)
{
	const struct scmp_arg_cmp both[] = {EQUALS(0, directory),
	    EQUALS(2, directory)};
	size_t i;

	for (i = 0; i < NITEMS(calls_in_directory); i++)
		allow_if(filter, calls_in_directory[i], 1, both);
	for (i = 0; i < NITEMS(calls_between_directories); i++)
		allow_if(filter, calls_between_directories[i], NITEMS(both),
		    both);
}

/* Its threads restrict themselves: each to its channel's directory. */
static void
allow_host(struct filter *filter)
{
	const struct scmp_arg_cmp any = {.arg = 0, .op = SCMP_CMP_NE,
	    .datum_a = (uint32_t)AT_FDCWD};
	static const int options[] = {PR_SET_NO_NEW_PRIVS};
	size_t i;

	allow(filter, calls_to_restrict, NITEMS(calls_to_restrict));
	allow_values(filter, "prctl", 0, options, NITEMS(options));
	for (i = 0; i < NITEMS(calls_in_directory); i++)
		allow_if(filter, calls_in_directory[i], 1, &any);
	for (i = 0; i < NITEMS(calls_between_directories); i++)
		allow_if(filter, calls_between_directories[i], 1, &any);
}

/*
 * When glibc's free() gives memory back it looks how the kernel overcommits it
 * (/proc/sys/vm/overcommit_memory), and does without when it cannot.  Not an
 * offence: it finds no such file.
 */
static void
find_nothing(struct filter *filter)
{
	const struct scmp_arg_cmp reading[] = {EQUALS(0, (uint32_t)AT_FDCWD),
	    EQUALS(2, O_RDONLY | O_CLOEXEC)};
	int number = seccomp_syscall_resolve_name("openat");

	if (seccomp_rule_add_array(filter->context, SCMP_ACT_ERRNO(ENOENT),
	    number, NITEMS(reading), reading) != 0)
		filter->good = false;
}

/* When the log's daemon is another one, common/log_syslog.c connects to it
 * anew. */
static void
allow_syslog(struct filter *filter)
{
	const struct scmp_arg_cmp local[] = {EQUALS(0, AF_UNIX),
	    MASKED(1, ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK),
	    SOCK_DGRAM)};

	allow_if(filter, "socket", NITEMS(local), local);
	allow_if(filter, "connect", 0, NULL);
}

/* Rings that there are, not a new one. */
static void
allow_uring(struct filter *filter, bool buffers)
{
	/* IORING_REGISTER_ENABLE_RINGS */
	const struct scmp_arg_cmp enable[] = {EQUALS(1, 12), EQUALS(3, 0)};
	/* IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING */
	const struct scmp_arg_cmp come[] = {EQUALS(1, 22), EQUALS(3, 1)};
	const struct scmp_arg_cmp go[] = {EQUALS(1, 23), EQUALS(3, 1)};

	allow_if(filter, "io_uring_enter", 0, NULL);
	allow_if(filter, "io_uring_register", NITEMS(enable), enable);
	if (!buffers)
		return;
	allow_if(filter, "io_uring_register", NITEMS(come), come);
	allow_if(filter, "io_uring_register", NITEMS(go), go);
}

static void
allow_program(struct filter *filter, const struct sandbox *sandbox)
{
	allow(filter, calls_of_all, NITEMS(calls_of_all));
	allow_data(filter, "mmap");
	allow_data(filter, "mmap2");
	allow_data(filter, "mprotect");
	allow_values(filter, "fcntl", 1, fcntl_commands,
	    NITEMS(fcntl_commands));
	allow_values(filter, "fcntl64", 1, fcntl_commands,
	    NITEMS(fcntl_commands));
	allow_itself(filter);
	if (sandbox->program != SANDBOX_FORWARDER)
		find_nothing(filter);
	if (sandbox->syslog)
		allow_syslog(filter);
	if (sandbox->uring)
		allow_uring(filter, sandbox->uring_buffers);
	if (sandbox->program == SANDBOX_WEB)
		allow_web(filter, sandbox->directory);
	if (sandbox->program == SANDBOX_FORWARDER)
		allow_forwarder(filter);
	if (sandbox->program == SANDBOX_HOST)
		allow_host(filter);
	if (sandbox->program != SANDBOX_WORKER &&
	    sandbox->program != SANDBOX_HOST)
		return;
	allow(filter, calls_of_workers, NITEMS(calls_of_workers));
	allow_worker(filter);
	if (sandbox->directory != -1)
		allow_directory(filter, sandbox->directory);
}

/*
 * No filter sees which flags clone3() is given.  Where the kernel seems not to
 * have it, C libraries make do with clone().  In a filter of its own, as what
 * this one refuses is not to be logged.
 */
static bool
refuse_clone3(void)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
	int number = seccomp_syscall_resolve_name("clone3");
	bool done = context != NULL && (number < 0 ||
	    (seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), number, 0) ==
	    0 && seccomp_load(context) == 0));

	seccomp_release(context);
	return done;
}

/* The filter of a program, not yet in force; NULL: it cannot be made. */
static scmp_filter_ctx
make_filter(const struct sandbox *sandbox, bool kill)
{
	struct filter filter = {.good = true};

	filter.context = seccomp_init(kill ? SCMP_ACT_KILL_PROCESS :
	    SCMP_ACT_ERRNO(EPERM));
	if (filter.context == NULL)
		return NULL;
	/* Nothing that we run is of another architecture. */
	(void)seccomp_attr_set(filter.context, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS);
	(void)seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_LOG, 1);
	allow_program(&filter, sandbox);
	if (filter.good)
		return filter.context;
	seccomp_release(filter.context);
	return NULL;
}

bool
sandbox_seccomp(const struct sandbox *sandbox, bool kill)
{
	scmp_filter_ctx context = make_filter(sandbox, kill);
	bool good = context != NULL && refuse_clone3() &&
	    seccomp_load(context) == 0;

	seccomp_release(context);
	if (!good)
		log_warnx("cannot give up system calls");
	worker.in_force = good && (sandbox->program == SANDBOX_WORKER ||
	    sandbox->program == SANDBOX_HOST);
	worker.kill = kill;
	worker.syslog = sandbox->syslog;
	return good;
}

/*** Threads of a worker. ***/

static void
refuse(struct filter *filter, const char *const *names, size_t count,
    const struct scmp_arg_cmp *condition)
{
	uint32_t action = worker.kill ? SCMP_ACT_KILL_PROCESS :
	    SCMP_ACT_ERRNO(EPERM);
	int number;
	size_t i;

	for (i = 0; i < count; i++) {
		number = seccomp_syscall_resolve_name(names[i]);
		if (number >= 0 && seccomp_rule_add_array(filter->context,
		    action, number, condition != NULL, condition) != 0)
			filter->good = false;
	}
}

static void
refuse_files(struct filter *filter)
{
	/* What find_nothing() is for stays no offence. */
	const struct scmp_arg_cmp any = {.arg = 0, .op = SCMP_CMP_NE,
	    .datum_a = (uint32_t)AT_FDCWD};

	refuse(filter, calls_of_workers, NITEMS(calls_of_workers), NULL);
	refuse(filter, calls_with_files, NITEMS(calls_with_files), NULL);
	refuse(filter, calls_in_directory, NITEMS(calls_in_directory), &any);
	refuse(filter, calls_between_directories,
	    NITEMS(calls_between_directories), &any);
}

static void
refuse_network(struct filter *filter)
{
	static const char *const sending[] = {"sendto"};

	refuse(filter, calls_of_relay, NITEMS(calls_of_relay), NULL);
	if (!worker.syslog)
		refuse(filter, sending, NITEMS(sending), NULL);
}

/* Rings are the process's, whoever has made them. */
static void
refuse_rings(struct filter *filter, int ring)
{
	static const char *const enter[] = {"io_uring_enter"};
	const struct scmp_arg_cmp another = {.arg = 0, .op = SCMP_CMP_NE,
	    .datum_a = (scmp_datum_t)ring};

	refuse(filter, enter, NITEMS(enter), ring == -1 ? NULL : &another);
}

void
sandbox_thread(enum sandbox_thread thread, int ring)
{
	struct filter filter = {.good = true};

	if (!worker.in_force)
		return;
	filter.context = seccomp_init(SCMP_ACT_ALLOW);
	if (filter.context == NULL ||
	    seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_NNP, 0) != 0)
		filter.good = false;
	else {
		(void)seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_LOG,
		    1);
		if (thread != SANDBOX_WITH_FILES)
			refuse_files(&filter);
		if (thread != SANDBOX_WITH_NETWORK)
			refuse_network(&filter);
		refuse(&filter, calls_to_begin, NITEMS(calls_to_begin), NULL);
		refuse_rings(&filter, ring);
	}
	if (!filter.good || seccomp_load(filter.context) != 0)
		log_warnx("a thread cannot give up system calls");
	seccomp_release(filter.context);
}

bool
sandbox_seccomp_write(const struct sandbox *sandbox, bool kill, int fd)
{
	scmp_filter_ctx context = make_filter(sandbox, kill);
	bool good = context != NULL && seccomp_export_bpf(context, fd) == 0;

	seccomp_release(context);
	return good;
}

#else

void
sandbox_thread(enum sandbox_thread thread ATTR_UNUSED, int ring ATTR_UNUSED)
{
}

bool
sandbox_seccomp(const struct sandbox *sandbox ATTR_UNUSED,
    bool kill ATTR_UNUSED)
{
	return false;
}

bool
sandbox_seccomp_write(const struct sandbox *sandbox ATTR_UNUSED,
    bool kill ATTR_UNUSED, int fd ATTR_UNUSED)
{
	return false;
}

#endif /* HAVE_SECCOMP */
