/* SPDX-License-Identifier: ISC */
/*
 * The state and the counters for Prometheus.  mcrelayctl only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "metrics/metrics.h"
#include "tools/ctl/client.h"
#include "tools/ctl/metrics.h"
#include "tools/ctl/table.h"

/* Who scrapes does not wait for long either. */
#define PATIENCE_S	1

static struct metrics_choice choice = {.groups = METRICS_ALL};

static int
print(const json_t *status)
{
	size_t size;
	char *text = metrics_text(status, &choice, &size);

	/* Half of it must not be taken for all. */
	if (fwrite(text, 1, size, stdout) != size || fflush(stdout) != 0)
		fatal("standard output");
	free(text);
	return 0;
}

/* That it is down is a metric as well: the text is complete. */
static void
failed(bool down, const char *text)
{
	log_warnx("%s", text);
	exit(down ? print(NULL) : 1);
}

/* 1, and a message: a channel was asked for that there is not. */
static int
check_channels(const json_t *status)
{
	const json_t *channels = json_object_get(status, "channels");
	size_t i, j;

	for (i = 0; i < choice.channel_count; i++) {
		for (j = 0; j < json_array_size(channels); j++)
			if (strcmp(member_text(json_array_get(channels, j),
			    "name"), choice.channels[i]) == 0)
				break;
		if (j < json_array_size(channels))
			continue;
		log_warnx("there is no channel %s", choice.channels[i]);
		return 1;
	}
	return 0;
}

int
metrics_command(const char *socket, int argc, char **argv)
{
	json_t *request, *answer;
	const json_t *status;
	int option, result;

	/* glibc: begin anew, with what "+" meant forgotten. */
	optind = 0;
	while ((option = getopt(argc, argv, "o")) != -1) {
		if (option != 'o')
			return -1;
		choice.openmetrics = true;
	}
	choice.channels = (const char *const *)(argv + optind);
	choice.channel_count = (size_t)(argc - optind);
	client_on_failure(failed);
	client_patience(PATIENCE_S);
	request = json_pack("{s:s}", "command", "status");
	answer = client_ask(socket, request);
	status = json_object_get(answer, "status");
	result = client_check(answer);
	if (result == 0)
		result = check_channels(status);
	if (result == 0)
		result = print(status);
	json_decref(request);
	json_decref(answer);
	return result;
}
