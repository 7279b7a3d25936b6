/* SPDX-License-Identifier: ISC */
/*
 * The state and the counters for Prometheus.  mcrelayctl only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "metrics/metrics.h"
#include "tools/ctl/client.h"
#include "tools/ctl/metrics.h"

/* Who scrapes does not wait for long either. */
#define PATIENCE_S	1

static struct metrics_choice choice = {.groups = METRICS_ALL};

static int
print(const struct node *status)
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
check_channels(const struct node *status)
{
	size_t i;

	for (i = 0; i < choice.channel_count; i++)
		if (!metrics_has_channel(status, choice.channels[i])) {
			log_warnx("there is no channel %s",
			    choice.channels[i]);
			return 1;
		}
	return 0;
}

/* The whole status is not for jansson: it takes longer than all the rest. */
static int
print_answer(const char *text, size_t size)
{
	struct document *document = document_read(text, size);
	const struct node *status;
	json_t *answer;
	int result;

	if (document == NULL ||
	    node_number(node_get(document->node, "ok")) == 0) {
		document_free(document);
		answer = client_parse(text, size);
		(void)client_check(answer);
		json_decref(answer);
		return 1;
	}
	status = node_get(document->node, "status");
	result = check_channels(status);
	if (result == 0)
		result = print(status);
	document_free(document);
	return result;
}

int
metrics_command(const char *socket, int argc, char **argv)
{
	int option, result;
	json_t *request;
	size_t size;
	char *text;

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
	text = client_ask_text(socket, request, &size);
	result = print_answer(text, size);
	json_decref(request);
	free(text);
	return result;
}
