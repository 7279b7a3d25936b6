/* SPDX-License-Identifier: ISC */
/*
 * A list of what a predecessor left.  Supervisor only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/events.h"
#include "supervisor/inheritance.h"

struct inheritance *
inheritance_new(void)
{
	struct inheritance *inheritance = xcalloc(1, sizeof(*inheritance));
	size_t i;

	images_init(&inheritance->images);
	inheritance->lock = inheritance->control = inheritance->client = -1;
	for (i = 0; i < NITEMS(inheritance->decimator); i++)
		inheritance->decimator[i].messages =
		    inheritance->decimator[i].voice = -1;
	return inheritance;
}

int
inheritance_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static void
drop(int *fd)
{
	if (*fd != -1)
		close(inheritance_take(fd));
}

void
inheritance_drop(struct inherited *each)
{
	size_t i;

	for (i = 0; i < INPUTS_MAX; i++)
		drop(&each->input[i].fd);
	drop(&each->feed);
	drop(&each->xdp_socket);
	drop(&each->xdp_memory);
	drop(&each->segment);
	drop(&each->archive);
	for (i = 0; i < each->sockets; i++)
		drop(&each->socket[i].fd);
	each->sockets = 0;
	drop(&each->decimator_event);
	drop(&each->worker.messages);
	drop(&each->worker.voice);
}

void
inheritance_free(struct inheritance *inheritance)
{
	size_t i;

	if (inheritance == NULL)
		return;
	for (i = 0; i < inheritance->channels; i++)
		inheritance_drop(&inheritance->channel[i]);
	for (i = 0; i < inheritance->places; i++)
		close(inheritance->place[i]);
	free(inheritance->place);
	events_free(inheritance->events);
	images_done(&inheritance->images);
	drop(&inheritance->lock);
	drop(&inheritance->control);
	drop(&inheritance->client);
	for (i = 0; i < NITEMS(inheritance->decimator); i++) {
		drop(&inheritance->decimator[i].messages);
		drop(&inheritance->decimator[i].voice);
	}
	free(inheritance->channel);
	free(inheritance->querier);
	free(inheritance->version);
	free(inheritance->run_dir);
	free(inheritance->user);
	free(inheritance);
}

void
inheritance_add_place(struct inheritance *inheritance, int fd)
{
	if (fd == -1)
		return;
	inheritance->place = xgrow(inheritance->place, inheritance->places,
	    sizeof(*inheritance->place));
	inheritance->place[inheritance->places++] = fd;
}

struct inherited *
inheritance_find(struct inheritance *inheritance, const char *name)
{
	size_t i;

	for (i = 0; i < inheritance->channels; i++)
		if (strcmp(inheritance->channel[i].name, name) == 0)
			return &inheritance->channel[i];
	return NULL;
}

struct inherited *
inheritance_add(struct inheritance *inheritance, const char *name)
{
	struct inherited *each = inheritance_find(inheritance, name);
	size_t i;

	if (each != NULL)
		return each;
	inheritance->channel = xgrow(inheritance->channel,
	    inheritance->channels, sizeof(*inheritance->channel));
	each = &inheritance->channel[inheritance->channels++];
	memset(each, 0, sizeof(*each));
	snprintf(each->name, sizeof(each->name), "%s", name);
	for (i = 0; i < INPUTS_MAX; i++)
		each->input[i].fd = -1;
	each->feed = each->xdp_socket = each->xdp_memory = -1;
	each->segment = each->archive = each->decimator_event = -1;
	each->decimator = each->holder = -1;
	each->worker.messages = each->worker.voice = -1;
	return each;
}
