/* SPDX-License-Identifier: ISC */
/*
 * Rates from one status to the next.  mcrelayctl only.
 *
 * A rate is of the last second; what was lost is summed up from the beginning,
 * since it would be missed by who looks away for a second.
 */
#include <sys/ioctl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/log.h"
#include "common/printable.h"
#include "common/util.h"
#include "tools/ctl/client.h"
#include "tools/ctl/show.h"
#include "tools/ctl/table.h"
#include "tools/ctl/top.h"

#define INTERVAL_NS	NS_PER_S
#define RANKS		5U

/* Where the tables come from, and how they are shown. */
struct source {
	const char	*socket;
	const json_t	*request;
	bool		 screen;	/* one over the other */
};

struct view {
	const json_t	*first;		/* channels at the beginning */
	const json_t	*before;	/* a second ago */
	const json_t	*now;
	double		 seconds;	/* between those two */
	size_t		 width;		/* of the screen; 0: any */
};

/*** The keyboard. ***/

static struct termios	settings;	/* as they were */
static bool		changed;

/* Also from a signal's handler. */
static void
restore_keyboard(void)
{
	if (changed)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &settings);
}

static void
on_signal(int sig ATTR_UNUSED)
{
	restore_keyboard();
	_exit(0);
}

static bool
is_screen(void)
{
	const char *terminal = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
	    terminal != NULL && strcmp(terminal, "dumb") != 0;
}

/* Each key at once, and unseen. */
static void
set_keyboard(void)
{
	struct termios wanted;

	if (!changed) {
		if (tcgetattr(STDIN_FILENO, &settings) == -1)
			return;
		changed = true;
		atexit(restore_keyboard);
	}
	wanted = settings;
	wanted.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &wanted);
}

/* False: the key to end was pressed. */
static bool
wait_until(uint64_t deadline_ns, bool keyboard)
{
	struct pollfd input = {.fd = keyboard ? STDIN_FILENO : -1,
	    .events = POLLIN};
	uint64_t now_ns;
	char key;

	while ((now_ns = clock_monotonic_ns()) < deadline_ns) {
		if (poll(&input, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) +
		    1) <= 0)
			continue;
		if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' ||
		    key == 'Q')
			return false;
	}
	return true;
}

/*** The table. ***/

/* The channel of an earlier answer, most likely in the same place. */
static const json_t *
find(const json_t *channels, const char *name, size_t place)
{
	const json_t *channel = json_array_get(channels, place);
	size_t i;

	if (channel != NULL && strcmp(member_text(channel, "name"), name) == 0)
		return channel;
	for (i = 0; i < json_array_size(channels); i++) {
		channel = json_array_get(channels, i);
		if (strcmp(member_text(channel, "name"), name) == 0)
			return channel;
	}
	return NULL;
}

static long long
counted(const json_t *channel, const char *name)
{
	return member_count(json_object_get(channel, "ledger"), name);
}

/* Whether the counters have begun anew: this one only grows. */
static bool
anew(const json_t *now, const json_t *then)
{
	return counted(now, "received") < counted(then, "received");
}

/* What came since.  Less than nothing: what had been counted was taken back,
 * as a reject is that the disk has lost and that is counted as shed now. */
static long long
more(const json_t *now, const json_t *then, const char *name)
{
	return counted(now, name) - (anew(now, then) ? 0 :
	    counted(then, name));
}

/* By all decimated streams that there are now. */
static long long
more_missed(const json_t *now, const json_t *then)
{
	json_t *stream, *streams = json_object_get(now, "decimate");
	json_t *before = json_object_get(then, "decimate");
	const char *name;
	long long sum = 0, count, earlier;

	json_object_foreach(streams, name, stream) {
		count = member_count(stream, "missed");
		earlier = member_count(json_object_get(before, name),
		    "missed");
		/* Another of this name may have been here. */
		sum += count - (earlier > count ? 0 : earlier);
	}
	return sum;
}

/* With three digits, as far as there are. */
static void
rate_cell(struct table *table, double rate)
{
	char text[TABLE_CELL_SIZE];

	snprintf(text, sizeof(text), "%.*f", rate <= 0 || rate >= 100 ? 0 :
	    rate < 10 ? 2 : 1, rate);
	table_cell(table, text);
}

static void
size_cell(struct table *table, long long bytes)
{
	static const char units[][4] = {"B", "KiB", "MiB", "GiB"};
	double size = (double)bytes;
	char text[TABLE_CELL_SIZE];
	size_t unit = 0;

	for (; size >= 1024 && unit + 1 < NITEMS(units); unit++)
		size /= 1024;
	snprintf(text, sizeof(text), "%.*f%s", unit > 0 && size < 10 ? 1 : 0,
	    size, units[unit]);
	table_cell(table, text);
}

/* One that was not there a second ago has no rate yet. */
static void
add_rates(struct table *table, const struct view *view, const json_t *channel,
    const json_t *before)
{
	if (before == NULL) {
		table_cell(table, "-");
		table_cell(table, "-");
		return;
	}
	rate_cell(table, (double)more(channel, before, "received") /
	    view->seconds);
	rate_cell(table, (double)more(channel, before, "received_bytes") *
	    8 / 1e6 / view->seconds);
}

static void
add_channel(struct table *table, const struct view *view, size_t place)
{
	static const char *const lost[] = {"kernel_dropped", "archive_shed",
	    "relay_errors", "rejected"};
	const json_t *channel = json_array_get(view->now, place);
	const char *name = member_text(channel, "name");
	const json_t *first = find(view->first, name, place);
	size_t i;

	table_cell(table, name);
	table_cell(table, member_text(channel, "state"));
	add_rates(table, view, channel, find(view->before, name, place));
	for (i = 0; i < NITEMS(lost); i++)
		table_count(table, more(channel, first, lost[i]));
	table_count(table, more_missed(channel, first));
	table_count(table, counted(channel, "pending"));
	size_cell(table, counted(channel, "socket_high_water_bytes"));
	size_cell(table, counted(channel, "ring_high_water_bytes"));
}

static void
print_heading(const json_t *status, FILE *to)
{
	const json_t *channels = json_object_get(status, "channels");
	size_t i, running = 0;
	char now[UTC_TEXT_SIZE];

	for (i = 0; i < json_array_size(channels); i++)
		running += strcmp(member_text(json_array_get(channels, i),
		    "state"), "running") == 0;
	format_utc(clock_realtime_ns(), now);
	printable_print(to,
	    "%.15sZ  mcrelayd %s, process %lld: %zu of %zu running\n",
	    now, member_text(status, "version"), member_count(status, "pid"),
	    running, json_array_size(channels));
}

/* How far up a channel stands: trouble first, also what is not known yet. */
static unsigned
rank_of(const json_t *channel)
{
	static const char *const states[RANKS][2] = {
		[1] = {"stopped", "starting"}, [2] = {"degraded"},
		[3] = {"stale", "paused"}, [4] = {"running"},
	};
	const char *state = member_text(channel, "state");
	unsigned i, j;

	for (i = 1; i < RANKS; i++)
		for (j = 0; j < NITEMS(states[i]); j++)
			if (states[i][j] != NULL &&
			    strcmp(states[i][j], state) == 0)
				return i;
	return 0;
}

static void
print_view(const struct view *view, FILE *to)
{
	static const char *const heads[] = {"CHANNEL", "STATE", "IN/S",
	    "MBIT/S", "DROPPED", "SHED", "ERRORS", "REJECTED", "MISSED",
	    "PENDING", "SOCKET", "RING"};
	/* What is missed least, where there is no room. */
	static const char *const least[] = {"RING", "SOCKET", "PENDING",
	    "MBIT/S", "MISSED", "REJECTED", "SHED", "ERRORS", "DROPPED",
	    "IN/S"};
	struct table table = {NITEMS(heads), 0, NULL};
	unsigned rank;
	size_t i;

	for (i = 0; i < NITEMS(heads); i++)
		table_cell(&table, heads[i]);
	for (rank = 0; rank < RANKS; rank++)
		for (i = 0; i < json_array_size(view->now); i++)
			if (rank_of(json_array_get(view->now, i)) == rank)
				add_channel(&table, view, i);
	if (view->width != 0)
		table_fit(&table, view->width, least, NITEMS(least));
	table_print(&table, to);
	show_old_counters(view->now, to);
}

/*** The screen. ***/

static struct winsize
screen_size(void)
{
	struct winsize size = {.ws_row = 0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == -1 ||
	    size.ws_row == 0 || size.ws_col == 0)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	return size;
}

/* From the top, as much as there is room for: a line never breaks. */
static void
draw(const char *text, const struct winsize *size)
{
	size_t length;
	unsigned row;

	printf("\033[H");
	for (row = 1; *text != '\0'; row++, text += length + 1) {
		length = strcspn(text, "\n");
		if (row + 1 == size->ws_row && text[length + 1] != '\0') {
			printf("...\033[K\n");
			break;
		}
		printf("%.*s\033[K\n", (int)MIN_OF(length,
		    (size_t)size->ws_col), text);
	}
	printf("\033[J");
}

static void
show(const json_t *status, struct view *view, bool screen)
{
	struct winsize window = screen_size();
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (to == NULL)
		fatal("memory");
	view->width = screen ? window.ws_col : 0;
	print_heading(status, to);
	print_view(view, to);
	if (fclose(to) != 0)
		fatal("memory");
	if (screen)
		draw(text, &window);
	else
		fputs(text, stdout);
	free(text);
	if (fflush(stdout) != 0)
		fatal("standard output");
}

static const json_t *
channels_of(const json_t *answer)
{
	return json_object_get(json_object_get(answer, "status"), "channels");
}

/* The next table; the daemon's answer for it becomes *before. */
static int
step(const struct source *source, struct view *view, json_t **before,
    uint64_t *before_ns)
{
	json_t *now = client_ask(source->socket, source->request);
	uint64_t now_ns = clock_monotonic_ns();
	int result = client_check(now);

	if (result == 0) {
		view->before = channels_of(*before);
		view->now = channels_of(now);
		view->seconds = (double)(now_ns - *before_ns) / 1e9;
		show(json_object_get(now, "status"), view, source->screen);
	}
	json_decref(*before);
	*before = now;
	*before_ns = now_ns;
	return result;
}

int
top_run(const char *socket, const json_t *request, json_t *first,
    unsigned count)
{
	const struct source source = {socket, request, is_screen()};
	struct view view = {.first = channels_of(first)};
	uint64_t before_ns = clock_monotonic_ns();
	json_t *before = json_incref(first);
	unsigned shown = 0;
	int result = 0;

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (source.screen)
		printf("\033[2J");
	while (result == 0 && (count == 0 || shown < count)) {
		/* Each time: who was stopped may find it changed. */
		if (source.screen)
			set_keyboard();
		if (!wait_until(before_ns + INTERVAL_NS, source.screen))
			break;
		if (shown++ > 0 && !source.screen)
			printf("\n");
		result = step(&source, &view, &before, &before_ns);
	}
	json_decref(before);
	return result;
}
