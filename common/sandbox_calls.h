/* SPDX-License-Identifier: ISC */
/*
 * Which system calls programs make, by name; for sandbox_seccomp.c only.  Names
 * that an architecture has not got are left out, so the tables have them of all
 * C libraries and architectures.
 */
#ifndef MCRELAY_SANDBOX_CALLS_H
#define MCRELAY_SANDBOX_CALLS_H

/* What every program does, whatever the arguments are. */
static const char *const calls_of_all[] = {
	/* the data path */
	"recvmmsg", "recvmmsg_time64", "sendmmsg", "recvmsg", "sendmsg",
	"recvfrom", "sendto", "read", "write", "poll", "ppoll",
	"ppoll_time64", "epoll_wait", "epoll_pwait", "epoll_pwait2",
	"futex", "futex_time64", "sched_yield",
	/* the event loop */
	"epoll_create1", "epoll_ctl", "eventfd2", "pipe2", "select",
	"pselect6", "pselect6_time64", "timerfd_create", "timerfd_settime",
	"timerfd_settime64",
	/* time */
	"clock_gettime", "clock_gettime64", "clock_getres",
	"clock_getres_time64", "clock_nanosleep", "clock_nanosleep_time64",
	"nanosleep", "gettimeofday", "time",
	/* descriptors that are there */
	"close", "fstat", "fstat64", "newfstatat", "fstatat64", "statx",
	"lseek", "_llseek", "pread64", "pwrite64", "preadv", "pwritev",
	"readv", "writev", "getsockopt",
	/* memory */
	"brk", "madvise", "mremap", "munmap",
	/* signals */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn",
	"sigaltstack", "restart_syscall",
	/* itself */
	"exit", "exit_group", "getcpu", "getegid", "geteuid", "getgid",
	"getpid", "getppid", "getrandom", "getrusage", "gettid", "getuid",
	"rseq", "sched_getaffinity", "set_robust_list", "sysinfo",
	"uname",
};

static const char *const calls_of_workers[] = {
	/* files */
	"dup3", "fadvise64", "fadvise64_64", "arm_fadvise64_64",
	"fallocate", "fdatasync", "fstatfs", "fstatfs64", "fsync",
	"ftruncate", "ftruncate64", "getdents64", "msync",
	"sync_file_range",
	"sync_file_range2",
};

/* Of all these, what only the relay thread of a worker makes... */
static const char *const calls_of_relay[] = {
	"recvmmsg", "recvmmsg_time64", "sendmmsg", "recvmsg", "sendmsg",
	"recvfrom",
};

/* ...and what, beside the list above, only threads with files make. */
static const char *const calls_with_files[] = {
	"lseek", "_llseek", "pread64", "preadv", "pwrite64", "pwritev",
};

/* What begins threads, and gives each its place. */
static const char *const calls_to_begin[] = {
	"clone", "sched_setaffinity", "seccomp", "setpriority",
};

/* What the threads of a shared worker begin with. */
static const char *const calls_to_restrict[] = {
	"landlock_create_ruleset", "landlock_add_rule",
	"landlock_restrict_self",
};

static const char *const calls_of_web[] = {
	"accept4", "getdents64", "getpeername", "getsockname", "setsockopt",
	"shutdown",
};

/* libnats, and the C library when it looks up a host. */
static const char *const calls_of_forwarders[] = {
	"bind", "connect", "fstatfs", "fstatfs64", "getdents64",
	"getpeername", "getsockname", "setsockopt", "shutdown",
};

/* Calls with a directory in their first argument: with the archive's only. */
static const char *const calls_in_directory[] = {
	"openat", "unlinkat", "faccessat", "faccessat2",
};

/* ...and in their first and third. */
static const char *const calls_between_directories[] = {
	"linkat", "renameat", "renameat2",
};

#endif /* MCRELAY_SANDBOX_CALLS_H */
