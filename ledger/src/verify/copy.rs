//! Reads what `copy (…) to stdout (format binary)` sends: the quickest way out of Postgres.
//!
//! Only the envelope is judged here. A stream that breaks the format is an error; a value that
//! makes no sense is for the caller to judge, so nothing that a table can hold stops a reading.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use sqlx::PgConnection;
use uuid::Uuid;

use super::VerifyError;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// The rows of a binary COPY, one at a time.
pub(super) struct Rows<'c> {
    stream: BoxStream<'c, Result<Bytes, sqlx::Error>>,
    pending: Bytes,
    begun: bool,
}

/// One row, as `N` fields; `None` is null.
pub(super) type Fields<'a, const N: usize> = [Option<&'a [u8]>; N];

impl<'c> Rows<'c> {
    /// Starts a statement of the form `copy (…) to stdout (format binary)`.
    pub(super) async fn of(
        conn: &'c mut PgConnection,
        statement: &'static str,
    ) -> Result<Rows<'c>, VerifyError> {
        let stream = conn.copy_out_raw(statement).await?;
        Ok(Rows {
            stream,
            pending: Bytes::new(),
            begun: false,
        })
    }

    /// The next row's bytes, for [`fields`]; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, VerifyError> {
        loop {
            if let Some(piece) = self.piece()? {
                match piece {
                    Piece::Header => self.begun = true,
                    Piece::Row(row) => return Ok(Some(row)),
                    Piece::End => {
                        // To the end of the stream, or the connection is not ready again.
                        while let Some(rest) = self.stream.next().await {
                            rest?;
                        }
                        return Ok(None);
                    }
                }
                continue;
            }
            let more = self
                .stream
                .next()
                .await
                .ok_or(VerifyError::Copy("it ended early"))??;
            self.pending = if self.pending.is_empty() {
                more
            } else {
                let mut joined = BytesMut::from(self.pending.as_ref());
                joined.extend_from_slice(&more);
                joined.freeze()
            };
        }
    }

    /// What lies whole at the front of the pending bytes.
    fn piece(&mut self) -> Result<Option<Piece>, VerifyError> {
        let mut cursor = Cursor(&self.pending);
        let piece = if self.begun {
            match cursor.int2() {
                None => return Ok(None),
                Some(-1) => return Ok(Some(Piece::End)),
                Some(count) => {
                    for _ in 0..count {
                        let Some(length) = cursor.int4() else {
                            return Ok(None);
                        };
                        // A negative length is a null and has no bytes.
                        if let Ok(length) = usize::try_from(length)
                            && cursor.take(length).is_none()
                        {
                            return Ok(None);
                        }
                    }
                    None
                }
            }
        } else {
            let Some(signature) = cursor.take(SIGNATURE.len()) else {
                return Ok(None);
            };
            if signature != SIGNATURE {
                return Err(VerifyError::Copy("it does not begin as one"));
            }
            let (Some(_flags), Some(extension)) = (cursor.int4(), cursor.int4()) else {
                return Ok(None);
            };
            let extension = usize::try_from(extension);
            match extension.ok().and_then(|length| cursor.take(length)) {
                Some(_) => Some(Piece::Header),
                None => return Ok(None),
            }
        };
        let rest = cursor.0.len();
        let row = self.pending.split_to(self.pending.len() - rest);
        Ok(Some(piece.unwrap_or(Piece::Row(row))))
    }
}

enum Piece {
    Header,
    Row(Bytes),
    End,
}

/// The fields of a row, of which there must be `N`.
pub(super) fn fields<const N: usize>(row: &[u8]) -> Result<Fields<'_, N>, VerifyError> {
    let mut cursor = Cursor(row);
    if cursor.int2().and_then(|count| usize::try_from(count).ok()) != Some(N) {
        return Err(VerifyError::Copy("a row has other columns than asked for"));
    }
    let mut fields = [None; N];
    for field in &mut fields {
        let length = cursor
            .int4()
            .ok_or(VerifyError::Copy("a row ended early"))?;
        if let Ok(length) = usize::try_from(length) {
            *field = Some(
                cursor
                    .take(length)
                    .ok_or(VerifyError::Copy("a row ended early"))?,
            );
        }
    }
    Ok(fields)
}

/// A `bigint`; `None` when it is null.
pub(super) fn int8(field: Option<&[u8]>) -> Option<i64> {
    Some(i64::from_be_bytes(field?.try_into().ok()?))
}

/// An `integer`, or a `date` as days since 2000-01-01.
pub(super) fn int4(field: Option<&[u8]>) -> Option<i32> {
    Some(i32::from_be_bytes(field?.try_into().ok()?))
}

pub(super) fn boolean(field: Option<&[u8]>) -> Option<bool> {
    Some(field? == [1])
}

pub(super) fn uuid(field: Option<&[u8]>) -> Option<Uuid> {
    Uuid::from_slice(field?).ok()
}

/// A text; `None` when it is null or not UTF-8.
pub(super) fn text(field: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(field?).ok()
}

/// A one-dimensional array without nulls that starts at 1, or an empty one; `None` for any other.
fn array<'a>(field: Option<&'a [u8]>, mut each: impl FnMut(&'a [u8]) -> Option<()>) -> Option<()> {
    let mut cursor = Cursor(field?);
    let dimensions = cursor.int4()?;
    let _flags_and_type = cursor.take(8)?;
    if dimensions == 0 {
        return Some(());
    }
    let length = cursor.int4()?;
    if dimensions != 1 || cursor.int4()? != 1 {
        return None;
    }
    for _ in 0..length {
        let size = usize::try_from(cursor.int4()?).ok()?;
        each(cursor.take(size)?)?;
    }
    Some(())
}

/// The `bigint[]` of a field, into a vector that is used again and again.
pub(super) fn bigints(field: Option<&[u8]>, into: &mut Vec<i64>) -> Option<()> {
    into.clear();
    array(field, |item| {
        into.push(int8(Some(item))?);
        Some(())
    })
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn int2(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn int4(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// Two rows of two columns (a bigint, and a text or null) as Postgres sends them.
    fn sent() -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 8]);
        for (number, text) in [(7_i64, Some("seven")), (-1, None)] {
            bytes.extend(2_i16.to_be_bytes());
            bytes.extend(8_i32.to_be_bytes());
            bytes.extend(number.to_be_bytes());
            match text {
                Some(text) => {
                    bytes.extend(i32::try_from(text.len()).unwrap().to_be_bytes());
                    bytes.extend(text.as_bytes());
                }
                None => bytes.extend((-1_i32).to_be_bytes()),
            }
        }
        bytes.extend((-1_i16).to_be_bytes());
        bytes
    }

    async fn read(bytes: &[u8], chunk: usize) -> Result<Vec<(i64, Option<String>)>, VerifyError> {
        let chunks: Vec<_> = bytes
            .chunks(chunk)
            .map(|c| Ok(Bytes::copy_from_slice(c)))
            .collect();
        let stream = stream::iter(chunks).boxed();
        let mut rows = Rows {
            stream,
            pending: Bytes::new(),
            begun: false,
        };
        let mut read = Vec::new();
        while let Some(row) = rows.next().await? {
            let [number, name] = fields::<2>(&row)?;
            read.push((int8(number).unwrap(), text(name).map(str::to_owned)));
        }
        Ok(read)
    }

    #[tokio::test]
    async fn rows_are_the_same_wherever_the_stream_is_cut() {
        let bytes = sent();
        for chunk in 1..=bytes.len() {
            let rows = read(&bytes, chunk).await.unwrap();
            assert_eq!(
                rows,
                [(7, Some("seven".to_owned())), (-1, None)],
                "chunks of {chunk}"
            );
        }
    }

    #[tokio::test]
    async fn a_broken_stream_is_an_error_and_never_a_short_answer() {
        let bytes = sent();
        for length in 0..bytes.len() {
            assert!(
                read(&bytes[..length], 16).await.is_err(),
                "cut after {length} bytes"
            );
        }
        let mut other = bytes.clone();
        other[0] = b'X';
        assert!(read(&other, 16).await.is_err());
    }

    #[test]
    fn an_array_of_another_shape_is_none() {
        let word = |value: i32| value.to_be_bytes();
        let array = |words: &[i32]| words.iter().flat_map(|&w| word(w)).collect::<Vec<u8>>();
        let mut values = Vec::new();
        let good = array(&[1, 0, 20, 1, 1, 8, 0, 5]);
        assert_eq!(bigints(Some(&good), &mut values), Some(()));
        assert_eq!(values, [5]);
        assert_eq!(bigints(Some(&array(&[0, 0, 20])), &mut values), Some(()));
        assert!(values.is_empty());
        for bad in [
            array(&[2, 0, 20, 1, 1, 1, 1, 8, 0, 5]), // two dimensions
            array(&[1, 0, 20, 1, 2, 8, 0, 5]),       // starts at 2
            array(&[1, 1, 20, 1, 1, -1]),            // holds a null
            array(&[1, 0, 20, 2, 1, 8, 0, 5]),       // shorter than it says
            array(&[1, 0, 23, 1, 1, 4, 5]),          // of another type
            array(&[1]),
        ] {
            assert_eq!(bigints(Some(&bad), &mut values), None, "{bad:?}");
        }
        assert_eq!(bigints(None, &mut values), None);
    }
}
