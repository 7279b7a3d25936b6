/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-web, which serves metrics: its socket, its process, what it is told.
 * Supervisor only.
 *
 * It has a socket to accept connections of, one to us and one that decimators
 * show their streams by; it can ask for the status, twice a second, and for
 * nothing else.  Whatever becomes of it, no
 * channel notices.  At an upgrade it ends, and the new image starts another.
 *
 * Who may read it learns from files that we have read (supervisor/web_files.h).
 * When a reload finds others in them, it is replaced; its socket stays, and
 * whoever connects meanwhile waits there.  While they cannot be used at the
 * start it is missing: no channel waits for that.
 */
#ifndef MCRELAY_WEB_PROCESS_H
#define MCRELAY_WEB_PROCESS_H

#include <sys/stat.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/child.h"
#include "supervisor/conf/conf.h"
#include "supervisor/live.h"
#include "supervisor/watch.h"
#include "supervisor/web_files.h"

struct supervisor;

struct web {
	struct supervisor	*supervisor;
	struct child		 child;
	struct web_conf		 conf;		/* what it serves by */
	int			 listening;	/* -1: none */
	/* The last status and the last streams as files; -1: none. */
	int			 told;
	int			 told_streams;
	struct web_files	 files;		/* what it is told */
	struct web_files	 staged;	/* by a reload; else none */
	bool			 tried;		/* to read them */
	struct stat		 made;		/* the socket at its path */
	char			 lack[256];	/* why it is missing, or "" */
	bool			 look;		/* was asked to, and answers */
	struct child_watch	 watch;
	struct live_pair	 live;
	bool			 streams_told;	/* it knows which there are */
};

void	web_init(struct supervisor *supervisor) ATTR_NONNULL;
void	web_done(struct supervisor *supervisor) ATTR_NONNULL;
/* At a reload: reads what the new configuration names, into `files', which are
 * the caller's; what is wrong is reported. */
void	web_read(const struct conf *conf, struct web_files *files,
	    struct conf_problems *problems) ATTR_NONNULL;
/* The reload is in force: takes them over, and what came of an earlier one and
 * is not in force yet never will be.  web_second() puts them into force. */
void	web_stage(struct supervisor *supervisor, const struct web_files *files)
	    ATTR_NONNULL;
/* Once a second, and at the start: does what the configuration in force asks
 * for, as far as it can be done now. */
void	web_second(struct supervisor *supervisor) ATTR_NONNULL;
/* All streams whose datums have a schema, for who looks at them (mcrelay-web's
 * streams.c, mcrelay-forwarder's live.c); -1 with errno. */
int	web_streams_file(const struct supervisor *supervisor) ATTR_NONNULL;
/* The streams are other ones. */
void	web_reloaded(struct supervisor *supervisor) ATTR_NONNULL;
/* Asks it to end; true when it has. */
bool	web_stop(struct supervisor *supervisor) ATTR_NONNULL
	    ATTR_UNUSED_RESULT;

#endif /* MCRELAY_WEB_PROCESS_H */
