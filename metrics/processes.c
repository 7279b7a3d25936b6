/* SPDX-License-Identifier: ISC */
/*
 * What each process uses, as metrics.  Any process that prints them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/util.h"
#include "metrics/metrics_priv.h"
#include "metrics/process.h"

struct seen {
	const char		*kind;
	const char		*channel;	/* a worker's */
	char			 decimator[LABEL_SIZE];	/* "": it is none */
	struct process_use	 use;
};

struct seen_list {
	struct seen	*seen;
	size_t		 count;
};

static const struct metric cpu = {"process_", "cpu_seconds", METRIC_COUNTER,
    "seconds", "processor time, of user and system"};
static const struct metric resident = {"process_", "resident_memory_bytes",
    METRIC_GAUGE, "bytes",
    "memory in use; rings are shared, and in each that uses them"};
static const struct metric started = {"process_", "start_time_seconds",
    METRIC_GAUGE, "seconds", "when it was started, since 1970"};
static const struct metric descriptors = {"process_", "open_fds",
    METRIC_GAUGE, NULL, "open file descriptors"};

static struct seen *
look(struct seen_list *list, const char *kind, const struct node *process,
    pid_t parent)
{
	pid_t pid = (pid_t)node_number(node_get(process, "pid"));
	struct seen *seen = &list->seen[list->count];

	if (!process_use(pid, parent, &seen->use))
		return NULL;
	seen->kind = kind;
	list->count++;
	return seen;
}

/* The supervisor, its decimators, mcrelay-web, the workers. */
static void
look_at_all(struct walk *walk, struct seen_list *list)
{
	const struct node *all = node_get(walk->status, "decimators"), *one;
	pid_t parent = (pid_t)node_number(node_get(walk->status, "pid"));
	int64_t place = 0;
	struct seen *seen;
	size_t i;

	list->seen = xcalloc(2 + node_count(all) + walk->channels,
	    sizeof(*list->seen));
	if (walk->all)
		(void)look(list, "supervisor", walk->status, 0);
	NODE_FOREACH(one, walk->all ? all : NULL) {
		seen = look(list, "decimator", one, parent);
		if (seen != NULL)
			decimator_label(one, place, seen->decimator);
		place++;
	}
	if (walk->all)
		(void)look(list, "web", node_get(walk->status, "web"),
		    parent);
	for (i = 0; i < walk->channels; i++) {
		seen = look(list, "worker", walk->channel[i].node,
		    parent);
		if (seen != NULL)
			seen->channel = walk->channel[i].name;
	}
}

static void
print(struct walk *walk, const struct metric *metric, const struct seen *seen,
    uint64_t value, uint64_t divisor)
{
	exposition_sample(&walk->out, metric, (struct label[]){
	    {"process", seen->kind},
	    {"channel", seen->channel},
	    {"decimator", seen->decimator[0] != '\0' ? seen->decimator : NULL},
	    {NULL, NULL}}, value, divisor);
}

void
metrics_processes(struct walk *walk)
{
	struct seen_list list = {NULL, 0};
	const struct seen *seen;
	size_t i;

	look_at_all(walk, &list);
	seen = list.seen;
	for (i = 0; i < list.count; i++)
		print(walk, &cpu, &seen[i], seen[i].use.cpu_ms, 1000);
	for (i = 0; i < list.count; i++)
		print(walk, &resident, &seen[i], seen[i].use.resident_bytes,
		    1);
	for (i = 0; i < list.count; i++)
		print(walk, &started, &seen[i], seen[i].use.started_ms, 1000);
	for (i = 0; i < list.count; i++)
		if (seen[i].use.descriptors_known)
			print(walk, &descriptors, &seen[i],
			    seen[i].use.descriptors, 1);
	free(list.seen);
}
