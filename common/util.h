/* SPDX-License-Identifier: ISC */
/*
 * Small helpers with more than one user: clocks, text forms of addresses and
 * times, allocation that does not fail, writes that finish.
 */
#ifndef MCRELAY_UTIL_H
#define MCRELAY_UTIL_H

#include <sys/socket.h>
#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define NS_PER_S	UINT64_C(1000000000)
#define NS_PER_MS	UINT64_C(1000000)
#define NS_PER_US	UINT64_C(1000)

/* "[v6 address%interface]:65535" and its NUL. */
#define ADDRESS_TEXT_SIZE	68
/* "20261120T213000.123456Z" and its NUL. */
#define UTC_TEXT_SIZE		24

uint64_t	clock_monotonic_ns(void);
uint64_t	clock_realtime_ns(void);
/* With the time that the machine was suspended. */
uint64_t	clock_boottime_ns(void);

/* These never return NULL: out of memory is fatal.  Not for the data path. */
void	*xmalloc(size_t size) ATTR_MALLOC;
void	*xcalloc(size_t count, size_t size) ATTR_MALLOC;
void	*xrealloc(void *p, size_t size);
/* Room for one more entry of `size' bytes in an array that has `count': it
 * doubles at powers of two, so its room need not be kept. */
void	*xgrow(void *array, size_t count, size_t size);
char	*xstrdup(const char *s) ATTR_MALLOC;
char	*xasprintf(const char *fmt, ...) ATTR_PRINTF(1, 2);

/* `address:port', IPv6 in brackets.  Returns the length of the text. */
size_t	format_address(const struct sockaddr *sa,
	    char text[static ADDRESS_TEXT_SIZE]) ATTR_NONNULL;
/* Names of interfaces are asked for by this internet socket from now on:
 * whoever is in a sandbox opens none.  Stays the caller's. */
void	format_address_ask(int socket);
/* The basic ISO 8601 form used in file names, from nanoseconds since 1970. */
void	format_utc(uint64_t realtime_ns, char text[static UTC_TEXT_SIZE]);

socklen_t	sockaddr_size(const struct sockaddr *sa) ATTR_NONNULL;

/* Keeps the calling thread on one CPU.  0, or -1 with errno. */
int	thread_pin(int cpu);

/* Sets O_NONBLOCK / FD_CLOEXEC; fatal when the descriptor is not open. */
void	fd_set_nonblock(int fd);
void	fd_set_cloexec(int fd, int on);
/* Whether there is something to read, or an end, within this time, whatever
 * signals come meanwhile. */
bool	fd_wait_readable(int fd, unsigned ms);

/*
 * Send or receive one message with descriptors (SCM_RIGHTS) over a
 * SOCK_SEQPACKET socket.  `fd_count' is at most FD_PASS_MAX.  fd_receive
 * returns the bytes received, 0 at end of file, -1 with errno; descriptors
 * arrive close-on-exec; when the message or its descriptors were cut off it
 * closes them all and fails with EMSGSIZE.
 */
#define FD_PASS_MAX	104
ssize_t	fd_send(int socket, const void *data, size_t size, const int *fds,
	    size_t fd_count);
ssize_t	fd_receive(int socket, void *data, size_t size, int *fds,
	    size_t *fd_count);

/* Whether two texts are the same; NULL is only like NULL. */
bool	text_same(const char *a, const char *b);

#endif /* MCRELAY_UTIL_H */
