/* SPDX-License-Identifier: ISC */
/*
 * A library to preload into mcrelayd: every interface takes rules for flows
 * (ethtool -N), eight of them altogether, as a card that leaves it to its user
 * to find places.  They are in the file that the environment names, each where
 * its place is.
 */
#include <sys/ioctl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#define PLACES	8

struct place {
	uint32_t			there;	/* 2: by what is no rule */
	struct ethtool_rx_flow_spec	rule;
};

static int
number(const struct place *places)
{
	int i, n = 0;

	for (i = 0; i < PLACES; i++)
		n += places[i].there != 0;
	return n;
}

static int
list(const struct place *places, struct ethtool_rxnfc *command)
{
	uint32_t i, n = 0;

	for (i = 0; i < PLACES; i++) {
		if (!places[i].there)
			continue;
		if (n == command->rule_cnt)
			return EMSGSIZE;
		command->rule_locs[n++] = i;
	}
	command->rule_cnt = n;
	command->data = PLACES;
	return 0;
}

static int
do_it(struct place *places, struct ethtool_rxnfc *command)
{
	struct place *place = &places[command->fs.location % PLACES];

	switch (command->cmd) {
	case ETHTOOL_GRXCLSRLCNT:
		command->rule_cnt = (uint32_t)number(places);
		command->data = PLACES;
		return 0;
	case ETHTOOL_GRXCLSRLALL:
		return list(places, command);
	case ETHTOOL_GRXCLSRULE:
		command->fs = place->rule;
		return place->there == 1 ? 0 : ENOENT;
	case ETHTOOL_SRXCLSRLINS:
		if (command->fs.location >= PLACES)
			return EINVAL;
		place->there = 1;
		place->rule = command->fs;
		return 0;
	case ETHTOOL_SRXCLSRLDEL:
		place->there = 0;
		return 0;
	default:
		return EOPNOTSUPP;
	}
}

int
ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) =
	    (__typeof__(real))dlsym(RTLD_NEXT, "ioctl");
	const char *path = getenv("MCRELAY_TEST_CARD");
	struct place places[PLACES];
	struct ifreq *asked;
	va_list ap;
	int file, error;

	va_start(ap, request);
	asked = va_arg(ap, void *);
	va_end(ap);
	if (request != SIOCETHTOOL || path == NULL)
		return real(fd, request, asked);
	file = open(path, O_RDWR | O_CLOEXEC);
	if (file == -1 ||
	    pread(file, places, sizeof(places), 0) != sizeof(places))
		abort();
	error = do_it(places, (void *)asked->ifr_data);
	if (pwrite(file, places, sizeof(places), 0) != sizeof(places))
		abort();
	close(file);
	/* What is no question about rules is the interface's own. */
	if (error == EOPNOTSUPP)
		return real(fd, request, asked);
	errno = error;
	return error == 0 ? 0 : -1;
}
