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
#include "supervisor/udp_errors.h"

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

/* What is to be done when it grows. */
static const char *const mends[UDP_ERRORS] = {
	[UDP_RCVBUF] = "mcrelayctl ledger (kernel_dropped says whether a "
	    "channel of ours), then its receive_buffer",
	[UDP_CHECKSUM] = "tcpdump -vv udp (whose checksums are bad), then "
	    "that sender, cable or card",
	[UDP_NO_PORT] = "tcpdump udp or icmp (which port nobody has), then "
	    "listen.port or the sender",
	[UDP_MEMORY] = "sysctl -w net.ipv4.udp_mem with larger limits",
};

void
doctor_check_udp_errors(struct doctor *doctor)
{
	struct udp_errors was, is;
	const char *name;
	uint64_t grown;
	size_t i;

	udp_errors_read(&was);
	look_again_later();
	udp_errors_read(&is);
	for (i = 0; i < UDP_ERRORS; i++) {
		name = udp_errors_name((enum udp_error)i);
		if (!is.known[i] || !was.known[i]) {
			doctor_say(doctor, DOCTOR_SKIP, name,
			    "not in /proc/net/snmp");
			continue;
		}
		grown = is.value[i] - was.value[i];
		doctor_mend(doctor, "%s", mends[i]);
		doctor_say(doctor, grown != 0 ? DOCTOR_WARN : DOCTOR_OK, name,
		    "%" PRIu64 " in the last second, %" PRIu64 " so far",
		    grown, is.value[i]);
	}
}

/*** The clock. ***/

/* Beyond what slewing can do in a second, which is half a millisecond. */
#define STEP_NS		((int64_t)NS_PER_MS)

/* How far the clock is from one that never steps.  Who was held up between the
 * two readings reads them again. */
static int64_t
offset_ns(void)
{
	uint64_t before, clock, after;
	unsigned tries = 100;

	do {
		before = clock_monotonic_ns();
		clock = clock_realtime_ns();
		after = clock_monotonic_ns();
	} while (after - before > STEP_NS / 10 && --tries > 0);
	return (int64_t)(clock - after);
}

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
