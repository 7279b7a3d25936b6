/* SPDX-License-Identifier: ISC */
/*
 * The schemas of decimated streams, as files beside the archive.  Supervisor
 * only.
 */
#ifndef MCRELAY_SCHEMA_FILES_H
#define MCRELAY_SCHEMA_FILES_H

#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"
#include "supervisor/parts.h"

/*
 * Writes CHANNEL.STREAM.avsc into the archive's directory for each stream that
 * has a schema of its own; -1: there is no archive, nothing is written.  One
 * that is there is replaced at once, never half.  Nothing there is followed or
 * waited for: the worker owns the directory.  Failure is logged.
 */
void	schema_files_write(int directory, const struct channel_conf *channel)
	    ATTR_NONNULL;
/* The same by parts->schemas where the file system may never answer, or is
 * `stuck'. */
void	schema_files_have_written(struct parts *parts,
	    const struct channel_conf *channel, bool stuck) ATTR_NONNULL;
/* Once a second: until they are written, if that takes a server. */
void	schema_files_go_on(struct parts *parts,
	    const struct channel_conf *channel) ATTR_NONNULL;

#endif /* MCRELAY_SCHEMA_FILES_H */
