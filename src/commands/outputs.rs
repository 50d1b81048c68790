//! The files that a load writes: none of them is an input, and no two are the same.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::IngestArgs;
use crate::error::{Failure, Kind};
use crate::input::{self, Format, Input};
use crate::load::{self, CheckpointFile};

/// Rejects that are also an input would be read as they are written; a checkpoint would be
/// put in their place, or in an input's.
pub(super) fn check(args: &IngestArgs, inputs: &[(Input, Format)]) -> Result<(), Failure> {
    let mut outputs = Vec::new();
    if let Some(rejects) = &args.rejects {
        outputs.push(("--rejects", rejects.clone()));
        outputs.push(("--rejects", load::reasons_path(rejects)));
    }
    if let Some(checkpoint) = &args.checkpoint {
        let files = CheckpointFile::files(checkpoint);
        outputs.extend(files.map(|file| ("--checkpoint", file)));
    }
    if let Some(metrics) = &args.metrics_file {
        outputs.push(("--metrics-file", metrics.clone()));
    }
    for (index, (flag, output)) in outputs.iter().enumerate() {
        let also = |(input, _): &(Input, Format)| input.is_file(output);
        if inputs.iter().any(also) {
            let message = format!("{flag} writes {}, which is also an INPUT", output.display());
            return Err(Failure::new(Kind::Usage, message));
        }
        let format = super::flags::format(args);
        let takes = |argument: &&OsString| input::would_take(argument, format.as_ref(), output);
        if let Some(argument) = args.inputs.iter().find(takes) {
            let (output, argument) = (output.display(), argument.to_string_lossy());
            let message = format!(
                "{flag} writes {output}, which the next load of {argument} would take for an INPUT"
            );
            return Err(Failure::new(Kind::Usage, message).hint(
                "write it elsewhere, or give it a name that begins with _ and a directory as INPUT",
            ));
        }
        let settings = [
            ("--proto", &args.record.proto),
            ("--descriptor-set", &args.record.descriptor_set),
            ("--token-file", &args.service.token_file),
            ("--client-secret-file", &args.service.client_secret_file),
            ("--federated-token-file", &args.service.federated_token_file),
            ("--ca-cert", &args.service.ca_cert),
        ];
        let absolute = std::path::absolute(output).ok();
        let read = |path: &Option<PathBuf>| {
            let path = path
                .as_ref()
                .and_then(|path| std::path::absolute(path).ok());
            path.is_some() && path == absolute
        };
        if let Some((other, _)) = settings.iter().find(|(_, path)| read(path)) {
            let message = format!("{flag} writes {}, which {other} reads", output.display());
            return Err(Failure::new(Kind::Usage, message));
        }
        let same = |(_, other): &&(_, PathBuf)| std::path::absolute(other).ok() == absolute;
        if let Some((other, _)) = outputs[index + 1..].iter().find(same) {
            let message = format!("{flag} and {other} both write {}", output.display());
            return Err(Failure::new(Kind::Usage, message));
        }
    }
    Ok(())
}
