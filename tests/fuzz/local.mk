# SPDX-License-Identifier: ISC
# Included by the Makefile.am of the top directory.

#
# Fuzz targets: with clang's libFuzzer (--enable-fuzzers), and with
# tests/unit/test_corpus.c, which runs what is in the tree, with any compiler.
#
FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
FUZZ_SCRATCH = tests/fuzz/scratch.c tests/fuzz/scratch.h
FUZZ_SUPERVISOR_LIBS = libsupervisor.a libschema.a libcommon.a $(EV_LIBS) \
	$(YAML_LIBS) $(AVRO_LIBS) $(JANSSON_LIBS) $(LIBBSD_LIBS) $(WEB_CHECK_LIBS) \
	$(CODEC_LIBS) $(SECCOMP_LIBS) $(URING_LIBS) $(BPF_LIBS) -lm

tests_fuzz_fuzz_datum_SOURCES = tests/fuzz/fuzz_datum.c
tests_fuzz_fuzz_datum_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_datum_LDADD = $(DECIMATOR_LIBS) libschema.a libcommon.a \
	$(AVRO_LIBS) $(JANSSON_LIBS) -lm

tests_fuzz_fuzz_schema_SOURCES = tests/fuzz/fuzz_schema.c
tests_fuzz_fuzz_schema_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_schema_LDADD = libschema.a libcommon.a $(AVRO_LIBS) \
	$(JANSSON_LIBS) -lm
tests_unit_test_corpus_schema_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/schema"'
tests_unit_test_corpus_schema_SOURCES = tests/unit/test_corpus.c \
	$(tests_fuzz_fuzz_schema_SOURCES)
tests_unit_test_corpus_schema_LDADD = $(tests_fuzz_fuzz_schema_LDADD) \
	$(CMOCKA_LIBS)

tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c $(FUZZ_SCRATCH)
tests_fuzz_fuzz_conf_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_conf_LDADD = $(FUZZ_SUPERVISOR_LIBS)
tests_unit_test_corpus_conf_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/conf"'
tests_unit_test_corpus_conf_SOURCES = tests/unit/test_corpus.c \
	$(tests_fuzz_fuzz_conf_SOURCES)
tests_unit_test_corpus_conf_LDADD = $(tests_fuzz_fuzz_conf_LDADD) \
	$(CMOCKA_LIBS)

tests_fuzz_fuzz_container_CPPFLAGS = $(libreader_a_CPPFLAGS)
tests_fuzz_fuzz_container_SOURCES = tests/fuzz/fuzz_container.c \
	$(FUZZ_SCRATCH)
tests_fuzz_fuzz_container_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_container_LDADD = libverify.a $(READER_LIBS)
tests_unit_test_corpus_container_CPPFLAGS = $(libreader_a_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/container"'
tests_unit_test_corpus_container_SOURCES = tests/unit/test_corpus.c \
	$(tests_fuzz_fuzz_container_SOURCES)
tests_unit_test_corpus_container_LDADD = $(tests_fuzz_fuzz_container_LDADD) \
	$(CMOCKA_LIBS)

tests_fuzz_fuzz_recover_SOURCES = tests/fuzz/fuzz_recover.c $(FUZZ_SCRATCH)
tests_fuzz_fuzz_recover_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_recover_LDADD = libworker.a libcommon.a $(EV_LIBS) \
	$(CODEC_LIBS) $(SECCOMP_LIBS) $(URING_LIBS) $(BPF_LIBS) -lm
tests_unit_test_corpus_recover_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/recover"'
tests_unit_test_corpus_recover_SOURCES = tests/unit/test_corpus.c \
	$(tests_fuzz_fuzz_recover_SOURCES)
tests_unit_test_corpus_recover_LDADD = $(tests_fuzz_fuzz_recover_LDADD) \
	$(CMOCKA_LIBS)

tests_fuzz_fuzz_lines_CPPFLAGS = $(libreader_a_CPPFLAGS)
tests_fuzz_fuzz_lines_SOURCES = tests/fuzz/fuzz_lines.c $(FUZZ_SCRATCH)
tests_fuzz_fuzz_lines_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_lines_LDADD = libverify.a $(READER_LIBS)
tests_unit_test_corpus_lines_CPPFLAGS = $(libreader_a_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/lines"'
tests_unit_test_corpus_lines_SOURCES = tests/unit/test_corpus.c \
	$(tests_fuzz_fuzz_lines_SOURCES)
tests_unit_test_corpus_lines_LDADD = $(tests_fuzz_fuzz_lines_LDADD) \
	$(CMOCKA_LIBS)

tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz_control.c $(FUZZ_SCRATCH)
tests_fuzz_fuzz_control_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_control_LDADD = $(FUZZ_SUPERVISOR_LIBS)
tests_unit_test_corpus_control_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/control"'
tests_unit_test_corpus_control_SOURCES = tests/unit/test_corpus.c \
	$(tests_fuzz_fuzz_control_SOURCES)
tests_unit_test_corpus_control_LDADD = $(tests_fuzz_fuzz_control_LDADD) \
	$(CMOCKA_LIBS)

tests_fuzz_fuzz_child_SOURCES = tests/fuzz/fuzz_child.c $(FUZZ_SCRATCH)
tests_fuzz_fuzz_child_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_child_LDADD = $(FUZZ_SUPERVISOR_LIBS)
tests_unit_test_corpus_child_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/child"'
tests_unit_test_corpus_child_SOURCES = tests/unit/test_corpus.c \
	$(tests_fuzz_fuzz_child_SOURCES)
tests_unit_test_corpus_child_LDADD = $(tests_fuzz_fuzz_child_LDADD) \
	$(CMOCKA_LIBS)

tests_fuzz_fuzz_segment_SOURCES = tests/fuzz/fuzz_segment.c $(FUZZ_SCRATCH)
tests_fuzz_fuzz_segment_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_segment_LDADD = $(DECIMATOR_LIBS) $(FUZZ_SUPERVISOR_LIBS)
tests_unit_test_corpus_segment_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/segment"'
tests_unit_test_corpus_segment_SOURCES = tests/unit/test_corpus.c \
	$(tests_fuzz_fuzz_segment_SOURCES)
tests_unit_test_corpus_segment_LDADD = $(tests_fuzz_fuzz_segment_LDADD) \
	$(CMOCKA_LIBS)

tests_fuzz_fuzz_handoff_SOURCES = tests/fuzz/fuzz_handoff.c
tests_fuzz_fuzz_handoff_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_handoff_LDADD = $(FUZZ_SUPERVISOR_LIBS)
tests_unit_test_corpus_handoff_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/handoff"'
tests_unit_test_corpus_handoff_SOURCES = tests/unit/test_corpus.c \
	$(tests_fuzz_fuzz_handoff_SOURCES)
tests_unit_test_corpus_handoff_LDADD = $(tests_fuzz_fuzz_handoff_LDADD) \
	$(CMOCKA_LIBS)

tests_fuzz_fuzz_frame_CPPFLAGS = $(IN_USER_CPPFLAGS)
tests_fuzz_fuzz_frame_CFLAGS = $(IN_USER_CFLAGS)
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c $(XDP_HERE)
tests_fuzz_fuzz_frame_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_frame_LDADD = libworker.a libcommon.a
tests_unit_test_corpus_frame_CPPFLAGS = $(IN_USER_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/frame"'
tests_unit_test_corpus_frame_CFLAGS = $(IN_USER_CFLAGS)
tests_unit_test_corpus_frame_SOURCES = tests/unit/test_corpus.c \
	$(tests_fuzz_fuzz_frame_SOURCES)
tests_unit_test_corpus_frame_LDADD = libworker.a libcommon.a $(CMOCKA_LIBS)

tests_fuzz_fuzz_request_CPPFLAGS = $(libweb_a_CPPFLAGS)
tests_fuzz_fuzz_request_SOURCES = tests/fuzz/fuzz_request.c
tests_fuzz_fuzz_request_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_request_LDADD = $(mcrelay_web_LDADD)
tests_unit_test_corpus_request_CPPFLAGS = $(libweb_a_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/request"'
tests_unit_test_corpus_request_SOURCES = tests/unit/test_corpus.c \
	$(tests_fuzz_fuzz_request_SOURCES)
tests_unit_test_corpus_request_LDADD = $(tests_fuzz_fuzz_request_LDADD) \
	$(CMOCKA_LIBS)

if WEB
CORPUS_WEB = tests/unit/test_corpus_request
FUZZERS_WEB = tests/fuzz/fuzz_request
FUZZ_WEB = request
endif

if HAVE_CMOCKA
CORPUS_TESTS = tests/unit/test_corpus_schema tests/unit/test_corpus_conf \
	tests/unit/test_corpus_container tests/unit/test_corpus_recover \
	tests/unit/test_corpus_lines tests/unit/test_corpus_control \
	tests/unit/test_corpus_child tests/unit/test_corpus_segment \
	tests/unit/test_corpus_handoff tests/unit/test_corpus_frame \
	$(CORPUS_WEB)
check_PROGRAMS += $(CORPUS_TESTS)
TESTS += $(CORPUS_TESTS)
endif

.PHONY: fuzz
if FUZZERS
FUZZERS = tests/fuzz/fuzz_datum tests/fuzz/fuzz_schema tests/fuzz/fuzz_conf \
	tests/fuzz/fuzz_container tests/fuzz/fuzz_recover \
	tests/fuzz/fuzz_lines tests/fuzz/fuzz_control tests/fuzz/fuzz_child \
	tests/fuzz/fuzz_segment tests/fuzz/fuzz_handoff \
	tests/fuzz/fuzz_frame $(FUZZERS_WEB)
noinst_PROGRAMS += $(FUZZERS)

# For so long each; FUZZ='conf schema' for some.
FUZZ_SECONDS = 60
FUZZ = datum schema conf container recover lines control child segment \
	handoff frame $(FUZZ_WEB)
fuzz: $(FUZZERS)
	@for name in $(FUZZ); do \
		echo "fuzz_$$name: $(FUZZ_SECONDS) seconds"; \
		mkdir -p fuzz-corpus/$$name && \
		tests/fuzz/fuzz_$$name -max_total_time=$(FUZZ_SECONDS) \
		    -max_len=4096 -timeout=20 -print_final_stats=1 \
		    fuzz-corpus/$$name "$(srcdir)/tests/fuzz/$$name" || \
		    exit 1; \
	done
endif
EXTRA_DIST += tests/fuzz/datum tests/fuzz/schema tests/fuzz/conf \
	tests/fuzz/container tests/fuzz/recover tests/fuzz/lines \
	tests/fuzz/control tests/fuzz/child tests/fuzz/segment \
	tests/fuzz/handoff tests/fuzz/request tests/fuzz/frame
