/* SPDX-License-Identifier: ISC */
/*
 * Syncs and finishes files off the archive's write path: a duty of its own
 * that does one job after another, since fdatasync can take seconds while
 * the ring goes on filling.  Worker; the archive thread is its only client.
 */
#ifndef MCRELAY_CLOSER_H
#define MCRELAY_CLOSER_H

#include <pthread.h>
#include <stdbool.h>

#include "common/segment.h"
#include "worker/archive/catalog.h"
#include "worker/archive/duty.h"
#include "worker/archive/file.h"

enum closer_task {
	CLOSER_SYNC,	/* fdatasync, and what it has achieved is noted in the
			 * file, if it does that; the descriptor is borrowed.
			 * With `fresh' the directory, too: without its name a
			 * new file is lost, whatever is in it */
	CLOSER_FINISH,	/* file_finish(), which closes the descriptor; and
			 * the catalogue's line */
	CLOSER_TASKS,
};

/* One job of each task for each kind. */
struct closer_job {
	enum archive_kind kind;
	bool	wanted;
	bool	running;
	bool	done;		/* not collected yet */
	int	error;		/* of a done job: errno, 0 when it worked */
	bool	lossy;		/* of a done finish: a sync of the file has
				 * failed, what is in memory is not believed */
	int	fd;
	bool	fresh;
	bool	doubted;
	int	synced;		/* closer_file.synced */
	uint64_t size;
	uint64_t synced_place;	/* synced.h; 0: it does not say that */
	char	name[FILE_NAME_SIZE];
	char	line[CATALOG_LINE_SIZE];
};

struct closer {
	struct duty	 duty;
	bool		 begun;
	bool		 working; /* somebody does its jobs */
	pthread_mutex_t	 mutex;
	pthread_cond_t	 changed;
	bool		 stop;
	int		 directory;	/* not owned */
	struct catalog	*catalog;	/* not owned */
	struct duty	*client;	/* posted when a job ends */
	/* Of whoever does its jobs: data was lost when it should be
	 * synced.  The kernel tells only once, so from now on each file is
	 * read back before it gets its name. */
	bool		 doubtful;
	bool		 sync_failed[ARCHIVE_KINDS];	/* of this file */
	struct closer_job job[ARCHIVE_KINDS][CLOSER_TASKS];
};

void	closer_start(struct closer *closer, int directory,
	    struct catalog *catalog, struct duty *client, struct crew *crew);
/* Ends it after the jobs it has. */
void	closer_stop(struct closer *closer);

/* What a file is for the closer. */
struct closer_file {
	int		 fd;
	const char	*name;		/* in the end */
	uint64_t	 size;		/* of what is committed */
	uint64_t	 synced_place;
	/* What its fdatasync() has said: 0, or an errno... */
	int		 synced;
};

/* ...or this: nobody has asked it. */
#define CLOSER_NOT_SYNCED	(-1)

/* False, and nothing done, when the kind's last sync is still under way. */
bool	closer_sync(struct closer *closer, enum archive_kind kind,
	    const struct closer_file *file, bool fresh);
/* A sync of the same kind that is waiting comes first.  The last finish
 * must have been collected.  fd -1: the file has its final name, perhaps
 * its line, too.  With `doubted' it is read back first. */
void	closer_finish(struct closer *closer, enum archive_kind kind,
	    const struct closer_file *file, const char *line, bool doubted);
/* Whether a job ended since the last call; *error is its outcome. */
bool	closer_collect(struct closer *closer, enum archive_kind kind,
	    enum closer_task task, int *error);
/* Of the finish that was collected last: closer_job.lossy. */
bool	closer_was_lossy(struct closer *closer, enum archive_kind kind);
/* Waits for the end of the job, if there is one. */
void	closer_wait(struct closer *closer, enum archive_kind kind,
	    enum closer_task task);

#endif /* MCRELAY_CLOSER_H */
