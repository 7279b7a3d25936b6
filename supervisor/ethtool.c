/* SPDX-License-Identifier: ISC */
/*
 * Asks drivers.  See ethtool.h.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/ethtool.h"

/* Any descriptor of a socket does. */
int
ethtool_ask(const char *interface, void *command)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result, error;
	struct ifreq request;

	if (fd == -1)
		return -1;
	memset(&request, 0, sizeof(request));
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s",
	    interface);
	request.ifr_data = command;
	result = ioctl(fd, SIOCETHTOOL, &request);
	error = errno;
	close(fd);
	errno = error;
	return result;
}
