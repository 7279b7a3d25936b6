/* SPDX-License-Identifier: ISC */
/*
 * One line and an exit status for a monitor.  mcrelayctl only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tools/ctl/check.h"
#include "tools/ctl/table.h"

static const char *const result_names[] = {"OK", "WARNING", "CRITICAL",
    "UNKNOWN"};

/* What a state is to a monitor; one that is not in here is of a version that
 * this one does not know. */
static const struct {
	const char		*state;
	enum check_result	 result;
} states[] = {
	{"running",	CHECK_OK},
	{"starting",	CHECK_WARNING},
	{"paused",	CHECK_WARNING},
	{"stale",	CHECK_WARNING},
	{"degraded",	CHECK_WARNING},
	{"stopped",	CHECK_WARNING},
	{"waiting",	CHECK_CRITICAL},
	{"backoff",	CHECK_CRITICAL},
	{"failed",	CHECK_CRITICAL},
};

/* What is worth a graph; the names are the ledger's. */
static const char *const counters[] = {"received", "kernel_dropped",
    "relayed", "relay_errors", "archived", "rejected", "archive_shed",
    "archive_errors"};

/* Stopped, as another host has it: nobody has to do anything. */
static bool
stands_by(const json_t *channel)
{
	const json_t *reason = json_array_get(json_object_get(channel,
	    "reasons"), 0);

	return reason != NULL &&
	    strcmp(member_text(reason, "what"), "standby") == 0;
}

static enum check_result
result_of(const json_t *channel)
{
	const char *state = member_text(channel, "state");
	size_t i;

	if (strcmp(state, "stopped") == 0 && stands_by(channel))
		return CHECK_OK;
	for (i = 0; i < NITEMS(states); i++)
		if (strcmp(states[i].state, state) == 0)
			return states[i].result;
	return CHECK_UNKNOWN;
}

/* Nothing that ends the line or the text. */
static void
print_text(const char *text)
{
	for (; *text != '\0'; text++)
		putchar(*text == '|' || (unsigned char)*text < ' ' ? ' ' :
		    *text);
}

static void
print_channel(const json_t *channel)
{
	const json_t *reasons = json_object_get(channel, "reasons");
	size_t i;

	print_text(member_text(channel, "name"));
	printf(" is ");
	print_text(member_text(channel, "state"));
	for (i = 0; i < json_array_size(reasons); i++) {
		printf("%s", i == 0 ? " (" : "; ");
		print_text(member_text(json_array_get(reasons, i), "detail"));
	}
	if (i > 0)
		printf(")");
}

/* Those that are as bad as the worst come first, and the others that are not
 * well after them. */
static void
print_troubles(const json_t *channels)
{
	const char *before = "";
	const json_t *channel;
	int result;
	size_t i;

	for (result = CHECK_UNKNOWN; result > CHECK_OK; result--)
		for (i = 0; i < json_array_size(channels); i++) {
			channel = json_array_get(channels, i);
			if ((int)result_of(channel) != result)
				continue;
			printf("%s", before);
			print_channel(channel);
			before = ", ";
		}
}

static void
print_performance(const json_t *channels, size_t well)
{
	long long sum;
	size_t i, j;

	printf(" | channels=%zu running=%zu", json_array_size(channels),
	    well);
	for (i = 0; i < NITEMS(counters); i++) {
		sum = 0;
		for (j = 0; j < json_array_size(channels); j++)
			sum += member_count(json_object_get(json_array_get(
			    channels, j), "ledger"), counters[i]);
		printf(" %s=%lldc", counters[i], sum);
	}
	printf("\n");
}

/* The worst; of an unknown one nothing is known but that. */
enum check_result
check_status(const json_t *status)
{
	const json_t *channels = json_object_get(status, "channels");
	enum check_result worst = CHECK_OK, result;
	size_t i, well = 0;

	for (i = 0; i < json_array_size(channels); i++) {
		result = result_of(json_array_get(channels, i));
		well += result == CHECK_OK;
		if (worst != CHECK_CRITICAL && (result > worst ||
		    result == CHECK_CRITICAL))
			worst = result;
	}
	printf("MCRELAY %s: ", result_names[worst]);
	if (worst == CHECK_OK)
		printf("all %zu channels are running", well);
	else
		print_troubles(channels);
	print_performance(channels, well);
	return worst;
}

enum check_result
check_refused(const json_t *answer)
{
	printf("MCRELAY %s: ", result_names[CHECK_UNKNOWN]);
	print_text(member_text(answer, "error"));
	printf("\n");
	return CHECK_UNKNOWN;
}

void
check_failed(bool down, const char *text)
{
	enum check_result result = down ? CHECK_CRITICAL : CHECK_UNKNOWN;

	printf("MCRELAY %s: ", result_names[result]);
	print_text(text);
	printf("\n");
	exit((int)result);
}
