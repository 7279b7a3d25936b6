/* SPDX-License-Identifier: ISC */
/*
 * A progress bar.  Tools.
 */
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/printable.h"
#include "common/util.h"
#include "tools/common/progress.h"

#define BAR_WIDTH	30
/* What a row has besides bar and label: brackets, percent, rate. */
#define ROW_REST	28
#define DRAW_NS		(100 * NS_PER_MS)

void
progress_expect(struct progress *progress, const char *file)
{
	struct stat st;

	if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
		progress->total += (uint64_t)st.st_size;
}

void
progress_begin(struct progress *progress, char *const *file, size_t files)
{
	const char *terminal = getenv("TERM");

	*progress = (struct progress){
		.terminal = isatty(STDERR_FILENO) && terminal != NULL &&
		    strcmp(terminal, "dumb") != 0,
		.start_ns = clock_monotonic_ns(),
	};
	for (size_t i = 0; i < files; i++)
		progress_expect(progress, file[i]);
}

static int
columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == -1 ||
	    size.ws_col == 0)
		return 80;
	return size.ws_col;
}

void
progress_show(struct progress *progress, uint64_t done, const char *label)
{
	const uint64_t now = progress->terminal ? clock_monotonic_ns() : 0;
	const int room = BAR_WIDTH + ROW_REST;
	double part, seconds;
	char bar[BAR_WIDTH + 1];
	char *safe;
	int width;

	if (!progress->terminal || now < progress->next_ns)
		return;
	progress->next_ns = now + DRAW_NS;
	part = progress->total == 0 ? 1 :
	    (double)MIN_OF(done, progress->total) / (double)progress->total;
	seconds = (double)MAX_OF(now - progress->start_ns, NS_PER_MS) / 1e9;
	memset(bar, ' ', BAR_WIDTH);
	memset(bar, '#', (size_t)(part * BAR_WIDTH));
	bar[BAR_WIDTH] = '\0';
	width = columns() - room;
	safe = printable_copy(label);
	fprintf(stderr, "\r\033[K[%s] %3.0f%% %8.1f MB/s  %.*s", bar,
	    part * 100, (double)done / 1e6 / seconds, MAX_OF(width, 0),
	    safe);
	free(safe);
	fflush(stderr);
	progress->drawn = true;
}

void
progress_clear(struct progress *progress)
{
	if (!progress->drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	progress->drawn = false;
}
