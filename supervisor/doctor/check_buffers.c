/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks of receive buffers.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/budget.h"
#include "supervisor/doctor/doctor_priv.h"

/* The largest of its inputs'. */
static uint64_t
wanted_buffer(const struct channel_conf *channel)
{
	uint64_t wanted = 0;
	size_t i;

	for (i = 0; i < channel->inputs; i++)
		wanted = MAX_OF(wanted, channel->listen[i].receive_buffer);
	return wanted;
}

void
doctor_check_receive_buffer(struct doctor *doctor)
{
	const struct channel_conf *channel;
	char had_text[LOOK_SIZE_TEXT], wanted_text[LOOK_SIZE_TEXT];
	uint64_t had, wanted;
	size_t i;

	for (i = 0; i < doctor->conf->channels; i++) {
		channel = &doctor->conf->channel[i];
		had = facts_buffer(doctor, channel);
		look_size(had, had_text);
		wanted = wanted_buffer(channel);
		look_size(wanted, wanted_text);
		if (had >= wanted) {
			doctor_say(doctor, DOCTOR_OK, channel->name, "%s, as "
			    "wanted", had_text);
			continue;
		}
		doctor_mend(doctor, "sysctl -w net.core.rmem_max=%" PRIu64
		    " (and into /etc/sysctl.d)", wanted);
		doctor_say(doctor, DOCTOR_WARN, channel->name, "%s of the %s "
		    "wanted", had_text, wanted_text);
	}
}

/* Measured by the daemon, or at a rate that is assumed. */
static void
say_budget(struct doctor *doctor, const struct channel_conf *channel)
{
	const json_t *status = facts_status(doctor, channel->name);
	uint64_t budget = facts_count(status, "outage_budget_ms");
	uint64_t rate = facts_count(status, "peak_rate");
	uint64_t away = facts_count(status, "away_ms");
	enum doctor_result result = DOCTOR_OK;

	if (rate == 0)
		rate = BUDGET_RATE;
	if (status == NULL)
		budget = 2 * facts_buffer(doctor, channel) * 1000 /
		    (budget_truesize(BUDGET_SIZE) * rate);
	if (budget < MAX_OF(away, (uint64_t)BUDGET_WARN_MS))
		result = budget < away ? DOCTOR_FAIL : DOCTOR_WARN;
	/* A second is enough for a worker that died young, too. */
	doctor_mend(doctor, "listen: {receive_buffer: %" PRIu64 "KiB} in the "
	    "channel, then mcrelayctl reload", budget_truesize(BUDGET_SIZE) *
	    rate / 2048 + 1);
	if (away == 0)
		doctor_say(doctor, result, channel->name, "%" PRIu64 " ms at "
		    "%" PRIu64 " datagrams/s%s", budget, rate, facts_count(
		    status, "peak_rate") == 0 ? ", which is assumed" : "");
	else
		doctor_say(doctor, result, channel->name, "%" PRIu64 " ms at "
		    "%" PRIu64 " datagrams/s%s; the last time it was without "
		    "for %" PRIu64 " ms", budget, rate, facts_count(status,
		    "peak_rate") == 0 ? ", which is assumed" : "", away);
}

void
doctor_check_outage_budget(struct doctor *doctor)
{
	size_t i;

	for (i = 0; i < doctor->conf->channels; i++)
		say_budget(doctor, &doctor->conf->channel[i]);
}

/* All sockets of the host, in pages; false: the kernel does not say. */
static bool
udp_pages(uint64_t *used)
{
	char *text = look_text("/proc/net/sockstat"), *line;
	bool is = false;

	line = text == NULL ? NULL : strstr(text, "UDP: inuse");
	if (line != NULL)
		is = sscanf(line, "UDP: inuse %*u mem %" SCNu64, used) == 1;
	free(text);
	return is;
}

void
doctor_check_udp_mem(struct doctor *doctor)
{
	char *text = look_text("/proc/sys/net/ipv4/udp_mem");
	uint64_t most, used = 0, wanted = 0;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	size_t i;

	if (text == NULL || sscanf(text, "%*u %*u %" SCNu64, &most) != 1) {
		doctor_say(doctor, DOCTOR_SKIP, "", "net.ipv4.udp_mem is not "
		    "to be read here: look on the host, outside of the "
		    "container or network namespace");
		free(text);
		return;
	}
	free(text);
	for (i = 0; i < doctor->conf->channels; i++)
		wanted += 2 * facts_buffer(doctor, &doctor->conf->channel[i])
		    / page;
	(void)udp_pages(&used);
	doctor_mend(doctor, "sysctl -w net.ipv4.udp_mem=\"%" PRIu64 " %"
	    PRIu64 " %" PRIu64 "\"", wanted, wanted + wanted / 2, wanted * 2);
	doctor_say(doctor, used >= most ? DOCTOR_FAIL : wanted > most ?
	    DOCTOR_WARN : DOCTOR_OK, "", "all receive buffers together may "
	    "take %" PRIu64 " pages, net.ipv4.udp_mem allows %" PRIu64
	    ", all sockets have %" PRIu64, wanted, most, used);
}
