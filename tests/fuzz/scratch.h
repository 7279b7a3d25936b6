/* SPDX-License-Identifier: ISC */
/*
 * What the fuzz targets share: a directory in memory for files, which goes at
 * the end of the process, and silence.
 */
#ifndef MCRELAY_FUZZ_SCRATCH_H
#define MCRELAY_FUZZ_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

/* The directory's descriptor; made at the first call, which also ends log
 * lines: a target makes thousands a second. */
int	scratch(void);
/* A path in it; good until the eighth call after this one. */
const char	*scratch_path(const char *name);
/* (Re)writes a file in it. */
void	scratch_put(const char *name, const void *data, size_t size);
/* Its contents, to be freed, and their size; NULL when there is no file. */
uint8_t	*scratch_get(const char *name, size_t *size);
/* Removes all files. */
void	scratch_clear(void);

/* Standard output goes nowhere until scratch_speak(). */
void	scratch_hush(void);
void	scratch_speak(void);

#endif /* MCRELAY_FUZZ_SCRATCH_H */
