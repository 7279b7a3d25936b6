/* SPDX-License-Identifier: ISC */
/*
 * All that a worker asks its C library for, in a sandbox of system calls: a
 * program that can be built with any C library, and has nothing else to link.
 *
 *	libc_calls FILTER DIRECTORY
 *
 * FILTER is the descriptor of a file with the filter, as the kernel has it;
 * DIRECTORY that of the archive.  Exits with 0, or with what did not work.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE	1
#endif

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHECK(what)							\
	do {								\
		if (!(what)) {						\
			dprintf(2, "%s:%d: %s: errno %d\n", __FILE__,	\
			    __LINE__, #what, errno);			\
			exit(1);					\
		}							\
	} while (0)

static int	directory;

static void
enter(int fd)
{
	static struct sock_filter program[4096];
	ssize_t size = read(fd, program, sizeof(program));
	struct sock_fprog filter = {.filter = program};

	CHECK(size > 0 && size < (ssize_t)sizeof(program));
	filter.len = (unsigned short)((size_t)size / sizeof(program[0]));
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

/*** Memory and time. ***/

static void
allocate(void)
{
	size_t sizes[] = {1, 100, 5000, 200000, 5000000}, i;
	void *memory[5], *pages;

	for (i = 0; i < 5; i++) {
		CHECK((memory[i] = malloc(sizes[i])) != NULL);
		memset(memory[i], 1, sizes[i]);
		CHECK((memory[i] = realloc(memory[i], sizes[i] * 3)) != NULL);
	}
	for (i = 0; i < 5; i++)
		free(memory[i]);
	CHECK(posix_memalign(&pages, 4096, 1 << 20) == 0);
	free(pages);
	pages = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED && munmap(pages, 65536) == 0);
}

static void
tell_time(void)
{
	struct timespec now, little = {0, 1000};
	struct timeval day;
	struct tm tm;
	char text[64];

	CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
	CHECK(clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0);
	CHECK(gettimeofday(&day, NULL) == 0 && time(NULL) > 0);
	CHECK(gmtime_r(&day.tv_sec, &tm) != NULL);
	CHECK(strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &tm) > 0);
	CHECK(nanosleep(&little, NULL) == 0);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &little, NULL) == 0);
}

/*** Threads. ***/

static pthread_mutex_t	mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t	woken = PTHREAD_COND_INITIALIZER;
static int		turn;

static void *
run(void *context)
{
	CHECK(prctl(PR_SET_NAME, "archive", 0, 0, 0) == 0);
	allocate();
	CHECK(pthread_mutex_lock(&mutex) == 0);
	turn = 1;
	CHECK(pthread_cond_signal(&woken) == 0);
	CHECK(pthread_mutex_unlock(&mutex) == 0);
	return context;
}

static void
run_threads(void)
{
	struct timespec until;
	pthread_t thread;
	cpu_set_t cpus;
	sigset_t all;
	void *result;

	CHECK(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	CHECK(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
	CHECK(setpriority(PRIO_PROCESS, (id_t)gettid(), 0) == 0);
	sigfillset(&all);
	CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
	CHECK(pthread_mutex_lock(&mutex) == 0);
	CHECK(pthread_create(&thread, NULL, run, &turn) == 0);
	while (turn == 0) {
		CHECK(clock_gettime(CLOCK_REALTIME, &until) == 0);
		until.tv_sec++;
		errno = pthread_cond_timedwait(&woken, &mutex, &until);
		CHECK(errno == 0 || errno == ETIMEDOUT);
	}
	CHECK(pthread_mutex_unlock(&mutex) == 0);
	CHECK(pthread_join(thread, &result) == 0 && result == &turn);
	CHECK(sched_yield() == 0);
}

/*** Descriptors. ***/

static void
wait_for_events(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pollfd poll_one = {.fd = wake, .events = POLLIN};
	struct timespec none = {0, 0};
	eventfd_t count;
	int ends[2];

	CHECK(epoll != -1 && wake != -1);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) == 0);
	CHECK(eventfd_write(wake, 1) == 0);
	CHECK(epoll_wait(epoll, &event, 1, 1000) == 1);
	CHECK(poll(&poll_one, 1, 1000) == 1);
	CHECK(ppoll(&poll_one, 1, &none, NULL) == 1);
	CHECK(eventfd_read(wake, &count) == 0 && count == 1);
	CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	CHECK(write(ends[1], "a", 1) == 1 && read(ends[0], &count, 8) == 1);
	CHECK(fcntl(ends[0], F_SETFL, fcntl(ends[0], F_GETFL) | O_NONBLOCK) ==
	    0);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

/* On a pair that was there before. */
static void
send_and_receive(int pair[2])
{
	char text[8] = "text", control[64];
	struct iovec part = {text, sizeof(text)};
	struct mmsghdr message = {.msg_hdr = {.msg_iov = &part,
	    .msg_iovlen = 1}};
	int size;
	socklen_t length = sizeof(size);

	CHECK(sendmmsg(pair[0], &message, 1, MSG_DONTWAIT) == 1);
	message.msg_hdr.msg_control = control;
	message.msg_hdr.msg_controllen = sizeof(control);
	CHECK(recvmmsg(pair[1], &message, 1, MSG_DONTWAIT, NULL) == 1);
	CHECK(send(pair[0], text, sizeof(text), MSG_DONTWAIT) == 8);
	CHECK(recv(pair[1], text, sizeof(text), MSG_DONTWAIT) == 8);
	message.msg_hdr.msg_control = NULL;
	message.msg_hdr.msg_controllen = 0;
	CHECK(sendmsg(pair[0], &message.msg_hdr, MSG_DONTWAIT) == 8);
	CHECK(recvmsg(pair[1], &message.msg_hdr, MSG_DONTWAIT) == 8);
	CHECK(getsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &size, &length) ==
	    0);
}

/*** Files. ***/

static void
write_file(int fd)
{
	char text[8] = "text";
	struct iovec parts[2] = {{text, 4}, {text + 4, 4}};
	struct stat status;

	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65536) == 0);
	CHECK(pwritev(fd, parts, 2, 0) == 8);
	CHECK(pwrite(fd, text, 8, 8) == 8 && pread(fd, text, 8, 8) == 8);
	CHECK(preadv(fd, parts, 2, 0) == 8);
	CHECK(writev(fd, parts, 2) == 8 && lseek(fd, 0, SEEK_SET) == 0);
	CHECK(fdatasync(fd) == 0 && fsync(fd) == 0);
	CHECK(sync_file_range(fd, 0, 8, SYNC_FILE_RANGE_WRITE) == 0);
	CHECK(posix_fadvise(fd, 0, 8, POSIX_FADV_DONTNEED) == 0);
	CHECK(ftruncate(fd, 16) == 0);
	CHECK(fstat(fd, &status) == 0 && status.st_size == 16);
	CHECK(close(fd) == 0);
}

static void
use_directory(void)
{
	struct stat status;
	struct dirent *entry;
	int entries = 0, fd = openat(directory, "libc.part",
	    O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	DIR *dir;

	CHECK(fd != -1);
	write_file(fd);
	CHECK(fstatat(directory, "libc.part", &status,
	    AT_SYMLINK_NOFOLLOW) == 0);
	CHECK(faccessat(directory, "libc.part", R_OK, 0) == 0);
	CHECK(linkat(directory, "libc.part", directory, "libc.linked", 0) ==
	    0);
	CHECK(renameat(directory, "libc.part", directory, "libc.avro") == 0);
	CHECK((fd = openat(directory, ".", O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC)) != -1);
	CHECK((dir = fdopendir(fd)) != NULL);
	while ((entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, "libc.", 5) == 0)
			entries++;
	CHECK(entries == 2 && closedir(dir) == 0);
	CHECK(unlinkat(directory, "libc.avro", 0) == 0);
	CHECK(unlinkat(directory, "libc.linked", 0) == 0);
}

/*** Its own. ***/

static void
see_itself(void)
{
	struct sigaction action = {.sa_handler = SIG_IGN};
	struct rlimit limit;
	struct rusage usage;
	stack_t stack = {.ss_flags = SS_DISABLE};

	CHECK(sigaction(SIGPIPE, &action, NULL) == 0);
	CHECK(sigaltstack(&stack, NULL) == 0);
	CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(getpid() > 0 && getppid() >= 0 && geteuid() == getuid());
	CHECK(sysconf(_SC_NPROCESSORS_ONLN) > 0);
}

int
main(int argc, char **argv)
{
	int pair[2];

	CHECK(argc == 3);
	directory = atoi(argv[2]);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0);
	enter(atoi(argv[1]));
	allocate();
	tell_time();
	run_threads();
	wait_for_events();
	send_and_receive(pair);
	use_directory();
	see_itself();
	/* As an assertion that fails: the signal must not become another. */
	if (getppid() > 1)
		abort();
	return 1;
}
