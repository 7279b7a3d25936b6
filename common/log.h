/* SPDX-License-Identifier: ISC */
/*
 * Log lines, for operators: what happened, to which channel, what mcrelay
 * does about it, what they can do.  Used by every process.
 *
 * fatal*() log and exit(1).  The x forms leave out strerror(errno).  All
 * preserve errno.  No function here allocates; all are safe from any thread.
 * None waits for a reader.  A line for a stderr that is full is dropped; the
 * next says how many were.  Lines for syslog wait in the process until there is
 * room, and are dropped when too many wait; how many were is said when there is
 * room again (common/log_loop.h).
 * Untrusted text is escaped as common/printable.h says: a line is one line.
 */
#ifndef MCRELAY_LOG_H
#define MCRELAY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "common/compiler.h"

enum log_target {
	LOG_TARGET_STDERR,
	LOG_TARGET_SYSLOG,
};

/*
 * `program' names the process ("mcrelayd"), `instance' the channel it works
 * for or NULL.  Both are copied.  `level' is a syslog priority: what is less
 * urgent is not logged (LOG_INFO: no debug lines).
 */
void	log_init(const char *program, const char *instance,
	    enum log_target target, int level);
void	log_set_level(int level);

/* Where the lines of one channel of several in a process go. */
struct log_voice {
	const char	*tag;	/* in the place of the process's */
	int		 fd;	/* in the place of standard error */
};
/* From now on the calling thread's lines do; NULL: as the process's.  It stays
 * the caller's. */
void	log_as(const struct log_voice *voice);

/* From now on each line on standard error begins with the time (UTC), if that
 * is a file or a terminal: who reads a pipe or a socket, as the journal and
 * containers' engines do, writes down the time itself. */
void	log_with_times(void);

/* Whether lines wait for syslog, or the number of those that were dropped. */
bool	log_waits(void);
/* Sends as much of it as there is room for; whether that was any.  The
 * process's end does so, too, and waits for a tenth of a second at most. */
bool	log_flush(void);
/* In a fork, before its descriptors become others: closes the log's, and
 * forgets what waits, which the parent has as well.  Lines may follow. */
void	log_close(void);

_Noreturn void	fatal(const char *fmt, ...) ATTR_PRINTF(1, 2);
_Noreturn void	fatalx(const char *fmt, ...) ATTR_PRINTF(1, 2);
void	log_warn(const char *fmt, ...) ATTR_PRINTF(1, 2);
void	log_warnx(const char *fmt, ...) ATTR_PRINTF(1, 2);
void	log_info(const char *fmt, ...) ATTR_PRINTF(1, 2);
void	log_debug(const char *fmt, ...) ATTR_PRINTF(1, 2);

/* A line of another process, `who', at whatever level; shorter than 128 bytes
 * its name, cut off the text after a thousand. */
void	log_said(const char *who, const char *text, size_t size) ATTR_NONNULL;

/*
 * For events that may come with every datagram: at most one line per
 * LOG_LIMIT_NS for each `limit' (static storage, one thread), which says how
 * many more there were.
 */
#define LOG_LIMIT_NS	UINT64_C(10000000000)

struct log_limit {
	uint64_t	next_ns;	/* CLOCK_MONOTONIC */
	uint64_t	suppressed;
};

void	log_limited(struct log_limit *limit, const char *fmt, ...)
	    ATTR_PRINTF(2, 3);

#endif /* MCRELAY_LOG_H */
