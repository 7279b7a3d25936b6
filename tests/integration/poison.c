/* SPDX-License-Identifier: ISC */
/*
 * A library to preload into mcrelayd and its children, which end by a fault as
 * if it was one that such data meets: a decimator when it sends a datagram with
 * "POISON" in it, a worker when it writes one to an archive of bare datums.
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool
holds(const struct iovec *iov, size_t count, const char *text)
{
	for (; count > 0; iov++, count--)
		if (memmem(iov->iov_base, iov->iov_len, text, strlen(text)) !=
		    NULL)
			return true;
	return false;
}

int
sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	int (*real)(int, struct mmsghdr *, unsigned, int) =
	    (__typeof__(real))dlsym(RTLD_NEXT, "sendmmsg");

	if (strcmp(program_invocation_short_name, "mcrelay-decimator") == 0 &&
	    holds(messages->msg_hdr.msg_iov, messages->msg_hdr.msg_iovlen,
	    "POISON"))
		abort();
	return real(fd, messages, count, flags);
}

/* What is rejected is kept with its source's address. */
ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
	ssize_t (*real)(int, const struct iovec *, int, off_t) =
	    (__typeof__(real))dlsym(RTLD_NEXT, "pwritev");

	if (strcmp(program_invocation_short_name, "mcrelay-worker") == 0 &&
	    holds(iov, (size_t)count, "POISON") &&
	    !holds(iov, (size_t)count, "127.0.0.1"))
		*(volatile int *)(uintptr_t)8 = 0;
	return real(fd, iov, count, at);
}
