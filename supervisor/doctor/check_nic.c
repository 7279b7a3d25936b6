/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks of network cards and their drivers.  Loopback has none.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/ethtool.h>
/* Before linux/wireless.h, whose own of it would be another. */
#include <net/if.h>
#include <linux/wireless.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"
#include "supervisor/ethtool.h"

/* Interrupts that come later delay what is relayed, in microseconds. */
#define COALESCE_MAX_US	1000U
/* A ring of so many datagrams is a millisecond at a million a second. */
#define RING_ENOUGH	1024U

typedef void	look_at(struct doctor *doctor, const struct link_use *use);

/* Those that are there and have hardware behind them, or a driver that says
 * what it would have. */
static void
each_link(struct doctor *doctor, look_at *look)
{
	struct link_use *use;
	size_t count = links_used(doctor->conf, &use), i;

	for (i = 0; i < count; i++)
		if (!use[i].loopback && links_flags(use[i].name) != -1)
			look(doctor, &use[i]);
	free(use);
}

static void
say_mute(struct doctor *doctor, const struct link_use *use)
{
	doctor_say(doctor, DOCTOR_SKIP, use->name, "its driver does not say: "
	    "%s", strerror(errno));
}

/*** Speed. ***/

static const char *
duplex_text(unsigned duplex)
{
	return duplex == DUPLEX_HALF ? ", half duplex" :
	    duplex == DUPLEX_FULL ? ", full duplex" : "";
}

static void
look_at_speed(struct doctor *doctor, const struct link_use *use)
{
	struct ethtool_cmd command = {.cmd = ETHTOOL_GSET};
	bool gigabit, slow;
	uint32_t speed;

	if (ethtool_ask(use->name, &command) == -1) {
		say_mute(doctor, use);
		return;
	}
	speed = ethtool_cmd_speed(&command);
	if (speed == (uint32_t)SPEED_UNKNOWN || speed == 0) {
		doctor_say(doctor, DOCTOR_SKIP, use->name, "its driver does "
		    "not know its speed");
		return;
	}
	gigabit = (command.supported & SUPPORTED_1000baseT_Full) != 0;
	slow = command.duplex == DUPLEX_HALF || (gigabit && speed < 1000);
	doctor_mend(doctor, "look at cable and switch; ethtool -s %s "
	    "autoneg on", use->name);
	doctor_say(doctor, slow ? DOCTOR_WARN : DOCTOR_OK, use->name, "%"
	    PRIu32 " Mbit/s%s%s", speed, duplex_text(command.duplex),
	    gigabit && speed < 1000 ? ", where 1000 would be possible" : "");
}

void
doctor_check_link_speed(struct doctor *doctor)
{
	each_link(doctor, look_at_speed);
}

/*** Offloads. ***/

static void
look_at_offload(struct doctor *doctor, const struct link_use *use,
    uint32_t what, const char *name)
{
	struct ethtool_value value = {.cmd = what};

	if (ethtool_ask(use->name, &value) == -1) {
		say_mute(doctor, use);
		return;
	}
	doctor_mend(doctor, "ethtool -K %s %s on", use->name, name);
	doctor_say(doctor, value.data == 0 ? DOCTOR_WARN : DOCTOR_OK,
	    use->name, "%s is %s", name, value.data == 0 ? "off" : "on");
}

static void
look_at_offloads(struct doctor *doctor, const struct link_use *use)
{
	if (use->input)
		look_at_offload(doctor, use, ETHTOOL_GGRO, "gro");
	if (use->output)
		look_at_offload(doctor, use, ETHTOOL_GGSO, "gso");
}

void
doctor_check_offloads(struct doctor *doctor)
{
	each_link(doctor, look_at_offloads);
}

/*** Rings, interrupts. ***/

static void
look_at_ring(struct doctor *doctor, const struct link_use *use)
{
	struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};
	bool small;

	if (!use->input)
		return;
	if (ethtool_ask(use->name, &ring) == -1) {
		say_mute(doctor, use);
		return;
	}
	small = ring.rx_pending < RING_ENOUGH &&
	    ring.rx_pending < ring.rx_max_pending;
	doctor_mend(doctor, "ethtool -G %s rx %" PRIu32, use->name,
	    MIN_OF(ring.rx_max_pending, 4 * RING_ENOUGH));
	doctor_say(doctor, small ? DOCTOR_WARN : DOCTOR_OK, use->name,
	    "receives into a ring of %" PRIu32 ", %" PRIu32 " are possible",
	    ring.rx_pending, ring.rx_max_pending);
}

void
doctor_check_rings(struct doctor *doctor)
{
	each_link(doctor, look_at_ring);
}

static void
look_at_coalescing(struct doctor *doctor, const struct link_use *use)
{
	struct ethtool_coalesce coalesce = {.cmd = ETHTOOL_GCOALESCE};
	bool late;

	if (!use->input)
		return;
	if (ethtool_ask(use->name, &coalesce) == -1) {
		say_mute(doctor, use);
		return;
	}
	late = coalesce.rx_coalesce_usecs > COALESCE_MAX_US;
	doctor_mend(doctor, "ethtool -C %s rx-usecs 100", use->name);
	doctor_say(doctor, late ? DOCTOR_WARN : DOCTOR_OK, use->name,
	    "waits up to %" PRIu32 " us for more before it interrupts%s",
	    coalesce.rx_coalesce_usecs, coalesce.use_adaptive_rx_coalesce ?
	    ", as it sees fit" : "");
}

void
doctor_check_coalescing(struct doctor *doctor)
{
	each_link(doctor, look_at_coalescing);
}

/*** What the card has dropped. ***/

/* By name in /sys/class/net/X/statistics. */
static const struct {
	const char	*name;
	uint64_t	 few;	/* a second are nothing to worry about: */
} drop_table[] = {
	{"rx_missed_errors",	0},
	{"rx_fifo_errors",	0},
	{"rx_errors",		0},
	/* also packets of protocols that nobody here speaks, which switches
	 * send now and then. */
	{"rx_dropped",		9},
};

struct drops {
	int64_t	count[NITEMS(drop_table)];
};

/* False: the kernel does not say. */
static bool
read_drops(const char *name, struct drops *drops)
{
	size_t i;

	for (i = 0; i < NITEMS(drop_table); i++)
		if (!look_number(&drops->count[i],
		    "/sys/class/net/%s/statistics/%s", name,
		    drop_table[i].name))
			return false;
	return true;
}

static void
say_drops(struct doctor *doctor, const char *name, const struct drops *was,
    const struct drops *is)
{
	bool many = false;
	uint64_t grown;
	size_t i;

	for (i = 0; i < NITEMS(drop_table); i++) {
		grown = (uint64_t)is->count[i] - (uint64_t)was->count[i];
		if (grown <= drop_table[i].few)
			continue;
		many = true;
		doctor_mend(doctor, "ethtool -S %s (why), ethtool -G %s rx "
		    "with a larger ring", name, name);
		doctor_say(doctor, DOCTOR_WARN, name, "%s: %" PRIu64 " in the "
		    "last second, %" PRId64 " so far", drop_table[i].name,
		    grown, is->count[i]);
	}
	if (!many)
		doctor_say(doctor, DOCTOR_OK, name, "none in the last "
		    "second; so far rx_missed_errors %" PRId64
		    ", rx_fifo_errors %" PRId64 ", rx_errors %" PRId64
		    ", rx_dropped %" PRId64, is->count[0], is->count[1],
		    is->count[2], is->count[3]);
}

void
doctor_check_interface_drops(struct doctor *doctor)
{
	struct link_use *use;
	size_t count = links_used(doctor->conf, &use), i;
	struct drops *was = xcalloc(count + 1, sizeof(*was)), is;
	bool *known = xcalloc(count + 1, sizeof(*known));

	for (i = 0; i < count; i++)
		known[i] = read_drops(use[i].name, &was[i]);
	look_again_later();
	for (i = 0; i < count; i++)
		if (known[i] && read_drops(use[i].name, &is))
			say_drops(doctor, use[i].name, &was[i], &is);
		else
			doctor_say(doctor, DOCTOR_SKIP, use[i].name, "the "
			    "kernel does not count them");
	free(known);
	free(was);
	free(use);
}

/*** Small computers. ***/

/* -1 with errno: the driver does not say. */
static int
power_save(const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result, saved;
	struct iwreq request;

	memset(&request, 0, sizeof(request));
	memcpy(request.ifr_name, name, IF_NAMESIZE);
	result = fd == -1 ? -1 : ioctl(fd, SIOCGIWPOWER, &request);
	saved = errno;
	if (fd != -1)
		close(fd);
	errno = saved;
	return result == -1 ? -1 : request.u.power.disabled == 0;
}

static void
look_at_wifi(struct doctor *doctor, const struct link_use *use)
{
	int saves;

	if (!look_exists("/sys/class/net/%s/wireless", use->name) &&
	    !look_exists("/sys/class/net/%s/phy80211", use->name)) {
		doctor_say(doctor, DOCTOR_OK, use->name, "is no Wi-Fi");
		return;
	}
	saves = power_save(use->name);
	if (saves == -1) {
		say_mute(doctor, use);
		return;
	}
	doctor_mend(doctor, "iw dev %s set power_save off", use->name);
	doctor_say(doctor, saves ? DOCTOR_WARN : DOCTOR_OK, use->name,
	    "Wi-Fi, its power saving is %s", saves ? "on" : "off");
}

void
doctor_check_wifi_power_save(struct doctor *doctor)
{
	each_link(doctor, look_at_wifi);
}

static void
look_at_usb(struct doctor *doctor, const struct link_use *use)
{
	/* Relative, through the buses that it is behind. */
	char *device = look_link("/sys/class/net/%s", use->name);
	bool usb = device != NULL && strstr(device, "/usb") != NULL;

	doctor_mend(doctor, "use a card that is built in or on PCI Express, "
	    "where there is one");
	doctor_say(doctor, usb ? DOCTOR_WARN : DOCTOR_OK, use->name,
	    usb ? "is behind USB" : "is not behind USB");
	free(device);
}

void
doctor_check_usb_nic(struct doctor *doctor)
{
	each_link(doctor, look_at_usb);
}
