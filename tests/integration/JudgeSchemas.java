// SPDX-License-Identifier: ISC
// Says of each schema, a line of a file each, whether Apache Avro for Java takes
// it: "ok", or why not.  Defaults are looked at, as versions since 1.9 do.

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import org.apache.avro.Schema;

public class JudgeSchemas {
	private static String judge(String schema) {
		try {
			new Schema.Parser().setValidateDefaults(true)
			    .parse(schema);
			return "ok";
		} catch (RuntimeException | StackOverflowError error) {
			return String.valueOf(error).split("\n")[0];
		}
	}

	public static void main(String[] arguments) throws Exception {
		PrintStream out = new PrintStream(System.out, false, "UTF-8");
		for (String line : Files.readAllLines(
		    Paths.get(arguments[0]), StandardCharsets.UTF_8))
			out.println(judge(line));
		out.flush();
	}
}
