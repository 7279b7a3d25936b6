/* SPDX-License-Identifier: ISC */
/*
 * A library to preload into mcrelayd and its children: a decimator ends when it
 * sends a datagram with "POISON" in it, as if by a fault that such data meets.
 */
#include <sys/socket.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

ssize_t
send(int fd, const void *data, size_t size, int flags)
{
	ssize_t (*real)(int, const void *, size_t, int) =
	    (__typeof__(real))dlsym(RTLD_NEXT, "send");

	if (strcmp(program_invocation_short_name, "mcrelay-decimator") == 0 &&
	    memmem(data, size, "POISON", 6) != NULL)
		abort();
	return real(fd, data, size, flags);
}
