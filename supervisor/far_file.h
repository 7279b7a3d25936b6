/* SPDX-License-Identifier: ISC */
/*
 * Files that may lie on a server: the configuration, schemas, certificates.
 * Supervisor only.
 *
 * To read one there may take for ever.  A process of its own does it, and the
 * supervisor waits some seconds for it; after one that did not come it asks for
 * no more.
 */
#ifndef MCRELAY_FAR_FILE_H
#define MCRELAY_FAR_FILE_H

#include <sys/stat.h>
#include <stdbool.h>

#include "common/compiler.h"

/* From now on others are held up: before, it is waited for any server. */
void	far_file_hurry(void);
/* All until the next call together may take as long as one. */
void	far_file_begin(void);
/*
 * A descriptor that the whole file can be read from, close-on-exec, at its
 * begin, and in *st what the file itself is; -1 with errno.
 */
int	far_file_open(const char *path, struct stat *st) ATTR_NONNULL;
/* False: others are held up, and to look there may take for ever; or it is a
 * link, and where that leads to is not known before somebody goes there. */
bool	far_file_may_look(const char *path) ATTR_NONNULL;
/* What that errno means. */
const char	*far_file_error(int error);

#endif /* MCRELAY_FAR_FILE_H */
