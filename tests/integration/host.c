/* SPDX-License-Identifier: ISC */
/*
 * A library to preload into the doctor: what the kernel says of clock, cards
 * and file systems is what a test wants, by variables of the environment.
 *
 *	MCRELAY_TEST_CLOCK	what adjtimex() returns, and its status
 *	MCRELAY_TEST_STEP	milliseconds by which the clock is set, half a
 *				second after it was read first
 *	MCRELAY_TEST_RINGS	receive ring: pending and most
 *	MCRELAY_TEST_COALESCE	receive interrupts, microseconds
 *	MCRELAY_TEST_POWER	1: Wi-Fi that saves power, 0: that does not
 *	MCRELAY_TEST_GSO	"merged": not taken apart, else errno
 *	MCRELAY_TEST_HANG	a path at which statfs() hangs
 *	MCRELAY_TEST_DIE	"exit" or "abort": what statfs() does
 *	MCRELAY_TEST_FSTYPE	what statfs() says, in hex
 *	MCRELAY_TEST_NO_LINKS	errno of linkat() and renameat2()
 *	MCRELAY_TEST_SLOW	seconds that fdatasync() takes
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <linux/wireless.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103
#endif

#define REAL(name)	((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int
adjtimex(struct timex *timex)
{
	const char *says = getenv("MCRELAY_TEST_CLOCK");
	int state = 0;

	if (says == NULL)
		return REAL(adjtimex)(timex);
	sscanf(says, "%d %d", &state, &timex->status);
	return state;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	const char *step = getenv("MCRELAY_TEST_STEP");
	static double first;
	double read;
	int result = REAL(clock_gettime)(clock, now);

	if (step == NULL || clock != CLOCK_REALTIME)
		return result;
	read = (double)now->tv_sec + (double)now->tv_nsec / 1e9;
	if (first == 0.)
		first = read;
	if (read > first + .5)
		now->tv_sec += atoi(step) / 1000;
	return result;
}

static int
ethtool(struct ifreq *request)
{
	const char *rings = getenv("MCRELAY_TEST_RINGS");
	const char *coalesce = getenv("MCRELAY_TEST_COALESCE");
	struct ethtool_ringparam *ring = (void *)request->ifr_data;
	struct ethtool_coalesce *wait = (void *)request->ifr_data;

	if (ring->cmd == ETHTOOL_GRINGPARAM && rings != NULL)
		return sscanf(rings, "%u %u", &ring->rx_pending,
		    &ring->rx_max_pending) == 2 ? 0 : -1;
	if (wait->cmd == ETHTOOL_GCOALESCE && coalesce != NULL) {
		wait->rx_coalesce_usecs = (unsigned)atoi(coalesce);
		return 0;
	}
	return 1;
}

int
ioctl(int fd, unsigned long what, ...)
{
	const char *power = getenv("MCRELAY_TEST_POWER");
	va_list ap;
	void *argument;

	va_start(ap, what);
	argument = va_arg(ap, void *);
	va_end(ap);
	if (what == SIOCETHTOOL && ethtool(argument) != 1)
		return 0;
	if (what == SIOCGIWPOWER && power != NULL) {
		((struct iwreq *)argument)->u.power.disabled = *power == '0';
		return 0;
	}
	return REAL(ioctl)(fd, what, argument);
}

int
setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
	const char *gso = getenv("MCRELAY_TEST_GSO");

	if (gso == NULL || level != IPPROTO_UDP || option != UDP_SEGMENT)
		return REAL(setsockopt)(fd, level, option, value, size);
	if (strcmp(gso, "merged") == 0)
		return 0;
	errno = atoi(gso);
	return -1;
}

int
statfs(const char *path, struct statfs *says)
{
	const char *hang = getenv("MCRELAY_TEST_HANG");
	const char *type = getenv("MCRELAY_TEST_FSTYPE");
	const char *die = getenv("MCRELAY_TEST_DIE");
	int result;

	if (die != NULL && strcmp(die, "exit") == 0)
		_exit(3);
	if (die != NULL)
		abort();

	if (hang != NULL && strstr(path, hang) != NULL)
		for (;;)
			pause();
	result = REAL(statfs)(path, says);
	if (result == 0 && type != NULL)
		says->f_type = (__fsword_t)strtoul(type, NULL, 16);
	return result;
}

int
fdatasync(int fd)
{
	const char *slow = getenv("MCRELAY_TEST_SLOW");

	if (slow != NULL)
		sleep((unsigned)atoi(slow));
	return REAL(fdatasync)(fd);
}

static int
no_links(void)
{
	const char *error = getenv("MCRELAY_TEST_NO_LINKS");

	if (error == NULL)
		return 0;
	errno = atoi(error);
	return -1;
}

int
linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	return no_links() == -1 ? -1 : REAL(linkat)(from_fd, from, to_fd, to,
	    flags);
}

int
renameat2(int from_fd, const char *from, int to_fd, const char *to,
    unsigned flags)
{
	return no_links() == -1 ? -1 : REAL(renameat2)(from_fd, from, to_fd,
	    to, flags);
}
