/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks of what the whole host shares: counters of the kernel,
 * the clock, segmentation.
 */
#include <sys/timex.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"
#include "supervisor/segmentation.h"

/*** Before the sockets. ***/

struct softnet {
	uint64_t	dropped;
	uint64_t	squeezed;
};

static bool
read_softnet(struct softnet *softnet)
{
	char *text = look_text("/proc/net/softnet_stat"), *line, *save;
	uint32_t dropped, squeezed;
	bool any = false;

	*softnet = (struct softnet){0, 0};
	line = text == NULL ? NULL : strtok_r(text, "\n", &save);
	for (; line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%*x %" SCNx32 " %" SCNx32, &dropped,
		    &squeezed) != 2)
			continue;
		softnet->dropped += dropped;
		softnet->squeezed += squeezed;
		any = true;
	}
	free(text);
	return any;
}

void
doctor_check_softnet(struct doctor *doctor)
{
	struct softnet was, is;
	int64_t backlog = 1000;
	uint64_t grown;

	if (!read_softnet(&was)) {
		doctor_say(doctor, DOCTOR_SKIP, "", "/proc/net/softnet_stat "
		    "cannot be read");
		return;
	}
	look_again_later();
	if (!read_softnet(&is))
		is = was;
	(void)look_number(&backlog, "/proc/sys/net/core/netdev_max_backlog");
	grown = is.dropped - was.dropped;
	doctor_mend(doctor, "sysctl -w net.core.netdev_max_backlog=%" PRIu64,
	    (uint64_t)MAX_OF(backlog, 1000) % UINT32_MAX * 4);
	doctor_say(doctor, grown != 0 ? DOCTOR_WARN : DOCTOR_OK, "", "%"
	    PRIu64 " dropped in the last second, %" PRIu64 " so far; out of "
	    "time %" PRIu64 " times", grown, is.dropped, is.squeezed);
}

/*** UDP. ***/

/* What is looked at, and what is to be done when it grows. */
static const struct {
	const char	*name;
	const char	*mend;
} counters[] = {
	{"RcvbufErrors", "mcrelayctl ledger (kernel_dropped says whether a "
	    "channel of ours), then its receive_buffer"},
	{"InCsumErrors", "tcpdump -vv udp (whose checksums are bad), then "
	    "that sender, cable or card"},
	{"NoPorts", "tcpdump udp or icmp (which port nobody has), then "
	    "listen.port or the sender"},
	{"MemErrors", "sysctl -w net.ipv4.udp_mem with larger limits"},
};

struct snmp {
	uint64_t	value[NITEMS(counters)];
	bool		known[NITEMS(counters)];
};

/* Names in one line, values in the next. */
static void
read_udp4(struct snmp *snmp)
{
	char *text = look_text("/proc/net/snmp"), *names, *values, *name;
	char *save_name, *save_value, *value, *end;
	size_t i;

	names = text == NULL ? NULL : strstr(text, "Udp: ");
	values = names == NULL ? NULL : strstr(names + 5, "\nUdp: ");
	if (values != NULL) {
		*values = '\0';
		values += strlen("\nUdp: ");
		if ((end = strchr(values, '\n')) != NULL)
			*end = '\0';
		name = strtok_r(names + strlen("Udp: "), " \n", &save_name);
		value = strtok_r(values, " ", &save_value);
		while (name != NULL && value != NULL) {
			for (i = 0; i < NITEMS(counters); i++)
				if (strcmp(counters[i].name, name) == 0) {
					snmp->value[i] += strtoull(value,
					    NULL, 10);
					snmp->known[i] = true;
				}
			name = strtok_r(NULL, " \n", &save_name);
			value = strtok_r(NULL, " ", &save_value);
		}
	}
	free(text);
}

static void
read_udp6(struct snmp *snmp)
{
	char *text = look_text("/proc/net/snmp6"), *line, *save;
	char name[64];
	uint64_t value;
	size_t i;

	line = text == NULL ? NULL : strtok_r(text, "\n", &save);
	for (; line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "Udp6%63s %" SCNu64, name, &value) != 2)
			continue;
		for (i = 0; i < NITEMS(counters); i++)
			if (strcmp(counters[i].name, name) == 0)
				snmp->value[i] += value;
	}
	free(text);
}

static void
read_snmp(struct snmp *snmp)
{
	memset(snmp, 0, sizeof(*snmp));
	read_udp4(snmp);
	read_udp6(snmp);
}

void
doctor_check_udp_errors(struct doctor *doctor)
{
	struct snmp was, is;
	uint64_t grown;
	size_t i;

	read_snmp(&was);
	look_again_later();
	read_snmp(&is);
	for (i = 0; i < NITEMS(counters); i++) {
		if (!is.known[i] || !was.known[i]) {
			doctor_say(doctor, DOCTOR_SKIP, counters[i].name,
			    "not in /proc/net/snmp");
			continue;
		}
		grown = is.value[i] - was.value[i];
		doctor_mend(doctor, "%s", counters[i].mend);
		doctor_say(doctor, grown != 0 ? DOCTOR_WARN : DOCTOR_OK,
		    counters[i].name, "%" PRIu64 " in the last second, %"
		    PRIu64 " so far", grown, is.value[i]);
	}
}

/*** The clock. ***/

/* How far the clock has moved against one that never steps. */
static int64_t
offset_ns(void)
{
	return (int64_t)(clock_realtime_ns() - clock_monotonic_ns());
}

/* Beyond what slewing can do in a second, which is half a millisecond. */
#define STEP_NS		((int64_t)NS_PER_MS)

void
doctor_check_clock(struct doctor *doctor)
{
	struct timex timex = {.modes = 0};
	int64_t before = offset_ns(), moved;
	int state = adjtimex(&timex);

	look_again_later();
	moved = offset_ns() - before;
	doctor_mend(doctor, "timedatectl set-ntp true, or look why not: "
	    "chronyc tracking, timedatectl timesync-status");
	if (state == -1)
		doctor_say(doctor, DOCTOR_SKIP, "", "adjtimex: %s",
		    strerror(errno));
	else if (moved > STEP_NS || moved < -STEP_NS)
		doctor_say(doctor, DOCTOR_WARN, "", "it was stepped by %"
		    PRId64 " ms in the last second", moved /
		    (int64_t)NS_PER_MS);
	else if (state == TIME_ERROR || (timex.status & STA_UNSYNC) != 0)
		doctor_say(doctor, DOCTOR_WARN, "", "nobody keeps it "
		    "synchronised");
	else if (state != TIME_OK)
		doctor_say(doctor, DOCTOR_WARN, "", "a leap second is due or "
		    "in progress");
	else
		doctor_say(doctor, DOCTOR_OK, "", "synchronised, within %ld "
		    "us", timex.maxerror);
}

/*** Segmentation. ***/

void
doctor_check_gso(struct doctor *doctor)
{
	const unsigned run = SEGMENTATION_RUN;
	bool any;
	const int count = segmentation_run_through(&any);

	if (count == (int)run)
		doctor_say(doctor, DOCTOR_OK, "", "a run of %u sent at once "
		    "arrives as %u on loopback", run, run);
	else if (count == -1) {
		doctor_mend(doctor, "a kernel from Linux 4.18 on");
		doctor_say(doctor, DOCTOR_WARN, "", "a run of %u cannot be "
		    "sent at once on loopback: %s", run, strerror(errno));
	} else {
		doctor_mend(doctor, (links_flags("lo") & IFF_UP) == 0 ?
		    "ip link set lo up" : "another kernel");
		doctor_say(doctor, DOCTOR_FAIL, "", "of a run of %u sent at "
		    "once %d arrived on loopback", run, count);
	}
}
