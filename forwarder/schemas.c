/* SPDX-License-Identifier: ISC */
/*
 * Schemas of the streams that are shown, on the servers: each once, by its
 * fingerprint, whichever host has brought it.  mcrelay-forwarder, a thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/util.h"
#include "forwarder/live.h"
#include "forwarder/tail.h"

/* Somebody may empty the stream. */
#define AGAIN_S		60
/* While they are not all there. */
#define RETRY_S		2

static pthread_mutex_t	mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t	changed = PTHREAD_COND_INITIALIZER;
static struct live_schema *wanted;
static size_t		wants;
static bool		fresh;		/* not looked at yet */

/* A copy of one of them; false: there are no more. */
static bool
get(size_t number, struct live_schema *schema)
{
	bool found;

	pthread_mutex_lock(&mutex);
	found = number < wants;
	if (found) {
		*schema = wanted[number];
		schema->text = xstrdup(wanted[number].text);
	}
	pthread_mutex_unlock(&mutex);
	return found;
}

/* Whether it is there. */
static bool
have(struct tail *tail, const struct live_schema *schema)
{
	char *found = NULL;
	bool good;

	if (schema->fingerprint[0] == '\0')
		return true;
	free(tail->subject);
	tail->subject = xasprintf("mcrelay.schema.%s", schema->fingerprint);
	good = tail_ask(tail, &found) && (found != NULL || tail_put(tail,
	    schema->text, strlen(schema->text)));
	free(found);
	return good;
}

static bool
have_all(struct tail *tail)
{
	struct live_schema schema;
	bool all = link_is_up();
	size_t i;

	for (i = 0; all && get(i, &schema); i++) {
		all = have(tail, &schema);
		free(schema.text);
	}
	return all;
}

static void *
run(void *argument ATTR_UNUSED)
{
	struct timespec until;
	struct tail tail;
	bool all;

	tail_init(&tail, "mcrelay_schema", "mcrelay.schema.*", 1,
	    xstrdup("mcrelay.schema.0"));
	tail.lasting = true;
	for (;;) {
		pthread_mutex_lock(&mutex);
		fresh = false;
		pthread_mutex_unlock(&mutex);
		all = have_all(&tail);
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += all ? AGAIN_S : RETRY_S;
		pthread_mutex_lock(&mutex);
		while (!fresh && pthread_cond_timedwait(&changed, &mutex,
		    &until) == 0)
			;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void
start(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run, NULL);

	if (error != 0) {
		errno = error;
		fatal("no thread for schemas");
	}
	(void)pthread_detach(thread);
}

void
schemas_want(const struct live_list *list)
{
	static bool started;
	size_t i;

	pthread_mutex_lock(&mutex);
	for (i = 0; i < wants; i++)
		free(wanted[i].text);
	free(wanted);
	wanted = xcalloc(list->schemas + 1, sizeof(*wanted));
	wants = list->schemas;
	for (i = 0; i < wants; i++) {
		wanted[i] = list->schema[i];
		wanted[i].text = xstrdup(list->schema[i].text);
	}
	fresh = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
	if (!started)
		start();
	started = true;
}
