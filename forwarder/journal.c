/* SPDX-License-Identifier: ISC */
/*
 * Lines of the catalogue, and ledgers.  mcrelay-forwarder.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/shard_name.h"
#include "common/util.h"
#include "forwarder/journal.h"

#define TURN_NS		NS_PER_S
/* When something is refused: the lane should not spend its time on that. */
#define REFUSED_NS	(10 * NS_PER_S)
/* How often it is asked whether the ledger is still there. */
#define ASK_NS		(10 * NS_PER_S)
/* Lines of a turn, each of which takes an answer. */
#define LINES_MAX	64U
/* About a day of ledgers that change all the time. */
#define LEDGERS_MAX	10000

/* What the supervisor has said last; all lanes take theirs from it. */
static pthread_mutex_t	mutex = PTHREAD_MUTEX_INITIALIZER;
static json_t		*status;

void
journal_init(struct journal *journal, const char *channel, int directory)
{
	char token[CHANNEL_NAME_MAX + 1];

	memset(journal, 0, sizeof(*journal));
	shard_name_token(channel, token, sizeof(token));
	journal->channel = channel;
	journal->directory = directory;
	tail_init(&journal->catalog, "mcrelay_catalog", "mcrelay.catalog.*.*",
	    0, xasprintf("mcrelay.catalog.%s.%s", spec.host, token));
	journal->catalog.same = true;
	tail_init(&journal->ledger, "mcrelay_ledger", "mcrelay.ledger.*.*",
	    LEDGERS_MAX, xasprintf("mcrelay.ledger.%s.%s", spec.host,
	    token));
}

void
journal_forget(struct journal *journal)
{
	journal->catalog.known = journal->ledger.known = false;
	journal->next_ns = 0;
}

/*** The catalogue. ***/

/* Where the stream ends: the name of a file. */
static bool
find_line(struct journal *journal)
{
	const char *name;
	json_t *line;
	char *data;

	if (!tail_ask(&journal->catalog, &data))
		return false;
	line = data == NULL ? NULL : json_loads(data, 0, NULL);
	name = json_string_value(json_object_get(line, "name"));
	snprintf(journal->line, sizeof(journal->line), "%s",
	    name != NULL ? name : "");
	json_decref(line);
	free(data);
	memset(&journal->seen, 0, sizeof(journal->seen));
	memset(&journal->place, 0, sizeof(journal->place));
	return true;
}

static const char *
name_in(const json_t *line)
{
	return json_string_value(json_object_get(line, "name"));
}

/* Where the line is that was sent last; zeros: that was another catalogue's. */
static struct lines_place
look_for(const struct journal *journal)
{
	struct lines_place place = {0};
	struct archive_name name;
	struct lines lines;
	json_t *line;

	lines_open(&lines, journal->directory, journal->channel);
	while ((line = lines_next(&lines, &name)) != NULL) {
		if (strcmp(name_in(line), journal->line) == 0)
			place = lines.place;
		json_decref(line);
	}
	lines_close(&lines);
	return place;
}

/* Behind that line; false: it is being replaced just now. */
static bool
open_behind(struct journal *journal, struct lines *lines)
{
	lines_open(lines, journal->directory, journal->channel);
	if (journal->line[0] == '\0')
		return true;
	if (journal->place.to != 0 && lines_go_on(lines, &journal->place))
		return true;
	journal->place = look_for(journal);
	return lines_go_on(lines, &journal->place);
}

static bool
send_line(struct journal *journal, const struct lines *lines,
    const json_t *line)
{
	if (!tail_put(&journal->catalog, lines->text,
	    strcspn(lines->text, "\n")))
		return false;
	snprintf(journal->line, sizeof(journal->line), "%s", name_in(line));
	journal->place = lines->place;
	return true;
}

/* False: the end has to be asked for. */
static bool
send_lines(struct journal *journal, bool *all)
{
	struct archive_name name;
	unsigned count = 0;
	struct lines lines;
	bool good = true, open;
	json_t *line;

	open = open_behind(journal, &lines);
	while (good && open && count < LINES_MAX &&
	    (line = lines_next(&lines, &name)) != NULL) {
		good = send_line(journal, &lines, line);
		count++;
		json_decref(line);
	}
	lines_close(&lines);
	*all = open && count < LINES_MAX;
	return good;
}

static bool
catalog_turn(struct journal *journal)
{
	struct stat st = {0};
	bool all;

	if (!journal->catalog.known && !find_line(journal))
		return false;
	/* There may be none yet. */
	if (fstatat(journal->directory, ARCHIVE_CATALOG, &st,
	    AT_SYMLINK_NOFOLLOW) == -1 || (st.st_size == journal->seen.st_size
	    && st.st_ino == journal->seen.st_ino))
		return true;
	if (!send_lines(journal, &all))
		return false;
	if (all)
		journal->seen = st;
	return true;
}

/*** The ledger. ***/

void
journal_status(int fd)
{
	json_t *now, *before;

	/* Whoever wrote it shares the position. */
	(void)lseek(fd, 0, SEEK_SET);
	now = json_loadfd(fd, 0, NULL);
	pthread_mutex_lock(&mutex);
	before = status;
	status = now;
	pthread_mutex_unlock(&mutex);
	json_decref(before);
}

/* The channel's, to be freed; NULL: it is not known yet. */
static char *
ledger_now(const struct journal *journal)
{
	const char *name;
	char *text = NULL;
	json_t *channel;
	size_t i;

	pthread_mutex_lock(&mutex);
	json_array_foreach(json_object_get(status, "channels"), i, channel) {
		name = json_string_value(json_object_get(channel, "name"));
		if (name != NULL && strcmp(name, journal->channel) == 0)
			text = json_dumps(json_object_get(channel, "ledger"),
			    JSON_COMPACT);
	}
	pthread_mutex_unlock(&mutex);
	return text;
}

/* Where the subject ends; one that somebody has emptied gets the last again. */
static bool
ask_ledger(struct journal *journal)
{
	char *last;

	if (!tail_ask(&journal->ledger, &last))
		return false;
	if (last == NULL) {
		free(journal->sent);
		journal->sent = NULL;
	}
	free(last);
	journal->asked_ns = clock_monotonic_ns();
	return true;
}

static bool
send_ledger(struct journal *journal, const char *ledger)
{
	char *message = xasprintf("{\"host\":\"%s\",\"channel\":\"%s\","
	    "\"time_ms\":%llu,\"ledger\":%s}", spec.host, journal->channel,
	    (unsigned long long)(clock_realtime_ns() / NS_PER_MS), ledger);
	bool good = tail_put(&journal->ledger, message, strlen(message));

	free(message);
	return good;
}

/* One that has not changed says nothing. */
static bool
ledger_turn(struct journal *journal)
{
	char *now = ledger_now(journal);
	bool good = true;

	if (now != NULL && (!journal->ledger.known || clock_monotonic_ns() -
	    journal->asked_ns > ASK_NS))
		good = ask_ledger(journal);
	if (!good || now == NULL || (journal->sent != NULL &&
	    strcmp(now, journal->sent) == 0)) {
		free(now);
		return good;
	}
	good = send_ledger(journal, now);
	free(good ? journal->sent : now);
	if (good)
		journal->sent = now;
	return good;
}

void
journal_turn(struct journal *journal)
{
	const uint64_t now = clock_monotonic_ns();
	bool good;

	if (now < journal->next_ns)
		return;
	good = catalog_turn(journal);
	good = ledger_turn(journal) && good;
	journal->next_ns = clock_monotonic_ns() + (good ? TURN_NS :
	    REFUSED_NS);
}
