//! Whether the HDR metadata is in the stream: FFmpeg decodes one frame and says what it carries.

use super::{
    VerifyContext,
    listing::{StreamRef, Track, wrong_output},
};
use crate::{
    error::MediaError,
    memory,
    source::HdrMetadata,
    tool::{
        Call,
        child::{Access, CallLimits},
        feed,
        ffmpeg::{file_or_stdin, head, words},
        programs::Program,
    },
};

/// Share of itself by which a luminance may be off: codecs count in different units.
const LUMINANCE_TOLERANCE: f64 = 0.01;

/// Checks the first frame of each video with HDR metadata in the plan; no others are decoded.
pub(super) async fn check(context: VerifyContext<'_>, track: &Track) -> Result<(), MediaError> {
    for (stream, planned) in track.planned.iter().enumerate() {
        let StreamRef::Video(number) = *planned else { continue };
        let expected = context.plan.videos[number].hdr_metadata;
        if expected == HdrMetadata::default() {
            continue;
        }
        if !carries(&show_first_frame(context, track, stream).await?, expected) {
            return Err(wrong_output(format!("`{}` does not carry its HDR metadata", track.name)));
        }
    }
    Ok(())
}

/// What FFmpeg's showinfo filter says of the first frame of a stream.
async fn show_first_frame(
    context: VerifyContext<'_>,
    track: &Track,
    stream: usize,
) -> Result<String, MediaError> {
    let file = track.single_file();
    let first_segment = if file.is_none() { track.segments.first() } else { None };
    let files = track.init.iter().chain(first_segment.map(|segment| &segment.file));
    let stdin = feed::through_pipe(context.dir, files.map(|file| file.path.clone()).collect())?;
    let access = Access::read(file.into_iter().map(ToOwned::to_owned).collect());
    let mut args = head("info");
    args.extend(words(&["-f", track.container.demuxer(), "-i"]));
    args.push(file_or_stdin(file));
    args.extend(words(&["-map", &format!("0:{stream}"), "-frames:v", "1", "-vf", "showinfo"]));
    args.extend(words(&["-f", "null", "-"]));
    let tools = context.tools;
    let limits = CallLimits { deadline: tools.limits.run_time, ..CallLimits::default() };
    let memory_bytes = memory::of_verification(context.plan);
    let call = Call { program: Program::Ffmpeg, args, access, stdin, memory_bytes };
    Ok(tools.lines(call, limits, context.cancel, |_| {}).await?.stderr_tail)
}

/// Whether what showinfo says of a frame is this metadata.
fn carries(showinfo: &str, expected: HdrMetadata) -> bool {
    let number = |name: &str| {
        let (_, rest) = showinfo.split_once(name)?;
        rest.split([',', '\n', ' ']).next()?.trim().parse::<f64>().ok()
    };
    let has_display = match expected.mastering_display {
        Some(display) => {
            // in units of 0.0001 cd/m²
            let brightest = f64::from(display.luminance.0) / 10_000.0;
            let is_near = |found: f64| (found - brightest).abs() <= LUMINANCE_TOLERANCE * brightest;
            showinfo.contains("has_primaries:1") && number("max_luminance=").is_some_and(is_near)
        }
        None => true,
    };
    let has_content_light = match expected.content_light {
        Some((max, average)) => {
            number("MaxCLL=") == Some(max.into()) && number("MaxFALL=") == Some(average.into())
        }
        None => true,
    };
    has_display && has_content_light
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MasteringDisplay;

    const SHOWINFO: &str = "[Parsed_showinfo_0 @ 0x7f]   side data - Mastering display metadata: has_primaries:1 has_luminance:1 r(0.6800,0.3200) g(0.2650,0.6900) b(0.1500 0.0600) wp(0.3127, 0.3290) min_luminance=0.000122, max_luminance=1000.000000\n\
        [Parsed_showinfo_0 @ 0x7f]   side data - Content light level metadata: MaxCLL=1000, MaxFALL=400\n";

    #[test]
    fn what_a_frame_carries() {
        let mastering = Some(MasteringDisplay { chromaticities: [(1, 1); 4], luminance: (10_000_000, 1) });
        let metadata = HdrMetadata { mastering_display: mastering, content_light: Some((1000, 400)) };
        assert!(carries(SHOWINFO, metadata));
        assert!(!carries(SHOWINFO, HdrMetadata { content_light: Some((1000, 401)), ..metadata }));
        assert!(!carries("", metadata));
        let dim = Some(MasteringDisplay { chromaticities: [(1, 1); 4], luminance: (6_000_000, 1) });
        assert!(!carries(SHOWINFO, HdrMetadata { mastering_display: dim, ..metadata }));
    }
}
